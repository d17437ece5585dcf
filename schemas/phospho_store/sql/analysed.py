"""Subqueries of the events of a scope, as the view `events` has them, of the facts of sessions and of flagged tasks."""

from __future__ import annotations

from typing import Protocol

from phospho_store.sql import compose
from phospho_store.sql.corrections import Corrections
from phospho_store.sql.events import judged_events, labelled
from phospho_store.sql.feedback import current_flag, last_feedback
from phospho_store.sql.sessions import SESSION_FACTS, session_events

# Columns that only an analysis has, with their values in a row that adds events to a task.
_OF_ANALYSES = {"sentiment_score": "NULL", "language": "''", "sentiment": "''", "theme": "''"}
_OF_PROJECT = "project_id = {project:String}"
_FOUND_FIELDS = ("name", "score", "definition_version", "engine")

_TASKS = "SELECT $columns, $names AS names, 1 AS is_task FROM analysis_rows FINAL WHERE $condition"
_IN_SESSIONS = "SELECT $columns, $names AS names, 0 AS is_task FROM $session_events"
# Events that people added to tasks without an analysis.
_BARE_LABELS = """
SELECT $columns, [event_name] AS names, 0 AS is_task
FROM
(
    SELECT * FROM task_rows FINAL
    WHERE $tasks AND task_id NOT IN (SELECT task_id FROM analysis_rows WHERE $ids)
) AS task
INNER JOIN ($labels) AS label ON label.task_id = task.task_id
WHERE $is_added
"""
_FOUND = """
SELECT $columns, name, score, definition_version, engine FROM analysis_rows FINAL
ARRAY JOIN events.name AS name, events.score AS score, events.definition_version AS definition_version,
    events.engine AS engine
WHERE $condition AND $of_name
"""
_JUDGED = "SELECT $columns, name, score, definition_version, engine FROM $judged_events"
_FOUND_IN_SESSIONS = """
SELECT $columns, name, event.score, event.definition_version, event.engine FROM
(SELECT $columns, toString(event.name) AS name, arrayJoin(events) AS event FROM $session_events) WHERE $of_name
"""


class TaskScope(Protocol):
    """
    Tasks of one project, as conditions on the tables that know of them.

    `corrections` are what reading the project's events has to look for beside its analyses.
    """

    @property
    def corrections(self) -> Corrections: ...

    def tasks(self) -> str:
        """Return the condition on `task_rows FINAL`."""

    def analyses(self) -> str:
        """Return the condition on `analysis_rows FINAL`."""

    def session_analyses(self) -> str:
        """Return the condition on `session_analysis_rows FINAL`, by the task at which its events stand."""

    def of_span(self) -> str:
        """Return the condition on project and time, which every table of tasks takes."""

    def feedback(self) -> str:
        """Return a condition on `feedback_rows` that holds for all feedback on these tasks."""


def analysed(scope: TaskScope, *columns: str, also: str = "1", within: str = "1") -> str:
    """
    Return a subquery of these columns of `analysis_rows`, `names` of events, and `is_task`.

    A row with `is_task` 1 is an analysed task of `scope`, with its events. Rows with 0 follow where the project has
    any: events that were found in sessions, or that people added to tasks without an analysis, with their task's
    columns. A task has its events in all of its rows, each event in one. `also` is a condition on columns that all
    tables of tasks have; `within` one of them that names sessions.
    """
    corrections = scope.corrections
    parts = [
        compose(
            _TASKS,
            columns=", ".join(columns),
            names=corrections.names(scope.of_span()),
            condition=f"{scope.analyses()} AND {also} AND {within}",
        )
    ]
    if corrections.has_session_events:
        parts.append(_in_sessions(scope, columns, also, within))
    if corrections.has_bare_labels:
        parts.append(_of_bare_labels(scope, columns, f"{also} AND {within}"))
    return f"({' UNION ALL '.join(parts)})"


def found_events(scope: TaskScope, *columns: str, of_name: str = "1") -> str:
    """
    Return a subquery of events as they were found in `scope`, after judgements and before labels.

    Its columns are those of all tables of tasks that are asked for, `name`, `score`, `definition_version` and
    `engine`. `of_name` is a condition on `name`.
    """
    selected = ", ".join(columns)
    if scope.corrections.has_judgements:
        analyses, judgements = f"{scope.analyses()} AND {of_name}", f"{_OF_PROJECT} AND {of_name}"
        parts = [
            compose(
                _JUDGED, columns=selected, judged_events=judged_events(columns, _FOUND_FIELDS, analyses, judgements)
            )
        ]
    else:
        parts = [compose(_FOUND, columns=selected, condition=scope.analyses(), of_name=of_name)]
    if scope.corrections.has_session_events:
        outputs = [f"found.{name} AS {name}" for name in columns]
        in_sessions = session_events(scope.session_analyses(), *outputs, "found.events AS events", tasks=_OF_PROJECT)
        parts.append(compose(_FOUND_IN_SESSIONS, columns=selected, session_events=in_sessions, of_name=of_name))
    return f"({' UNION ALL '.join(parts)})"


def _in_sessions(scope: TaskScope, columns: tuple[str, ...], also: str, within: str) -> str:
    own = tuple(name for name in columns if name not in _OF_ANALYSES)
    outputs = [f"found.{name} AS {name}" for name in dict.fromkeys(("task_id", *own))]
    names = "CAST(found.events.name, 'Array(String)') AS found_names"
    condition = f"{scope.session_analyses()} AND {also} AND {within}"
    return compose(
        _IN_SESSIONS,
        columns=_filled(columns),
        names=scope.corrections.names_in_sessions(),
        session_events=session_events(condition, *outputs, names, tasks=f"{_OF_PROJECT} AND {within}"),
    )


def _of_bare_labels(scope: TaskScope, columns: tuple[str, ...], also: str) -> str:
    ids = f"{_OF_PROJECT} AND task_id IN ({labelled('confirmed', 'task_id')})"
    return compose(
        _BARE_LABELS,
        columns=_filled(columns, "task."),
        tasks=f"{scope.tasks()} AND {also} AND {ids}",
        ids=ids,
        labels=labelled("confirmed", "task_id", "event_name"),
        is_added=scope.corrections.is_added("task.task_id", "event_name", scope.of_span()),
    )


def _filled(columns: tuple[str, ...], table: str = "") -> str:
    return ", ".join(f"{_OF_ANALYSES.get(name, f'{table}{name}')} AS {name}" for name in columns)


_SESSION_FACTS = """(
    SELECT session_id, $facts FROM task_rows FINAL
    WHERE project_id = {project:String} AND $within
    GROUP BY session_id
)"""


def session_facts(within: str) -> str:
    """Return a subquery of `session_id` and SESSION_FACTS; `within` is a condition on `session_id`."""
    facts = ", ".join(f"{column} AS {name}" for name, column in SESSION_FACTS.items())
    return compose(_SESSION_FACTS, facts=facts, within=within)


_LOGGED = "(SELECT $columns, toString(flag) AS flag FROM task_rows FINAL WHERE $condition AND flag != '')"
# Few tasks have a flag or feedback: only theirs are joined.
_CURRENT = """(
    SELECT $columns, $flag AS flag
    FROM
    (
        SELECT task_id, $columns, toString(flag) AS logged_flag
        FROM task_rows FINAL
        WHERE $condition AND (flag != '' OR task_id IN (SELECT task_id FROM feedback_rows WHERE $feedback))
    ) AS task
    LEFT ANY JOIN $last_feedback AS last_feedback
    ON task.task_id = last_feedback.task_id
)"""


def flagged_tasks(scope: TaskScope, *columns: str) -> str:
    """Return a subquery of these columns of `task_rows` and the current `flag` of each task that has one."""
    selected, condition = ", ".join(columns), scope.tasks()
    if not scope.corrections.has_feedback:
        return compose(_LOGGED, columns=selected, condition=condition)
    return compose(
        _CURRENT,
        columns=selected,
        condition=condition,
        flag=current_flag("last_feedback.flag", "task.logged_flag"),
        feedback=scope.feedback(),
        last_feedback=last_feedback(scope.feedback()),
    )
