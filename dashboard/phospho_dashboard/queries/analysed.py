"""The events of tasks as they hold: what the pages show and the view `events` shows is the same."""

from __future__ import annotations

from phospho_dashboard.queries.corrections import labelled, session_events
from phospho_dashboard.queries.filters import Scope

# What only an analysis says: a row that adds events to a task says nothing else of it.
_OF_ANALYSES = {"sentiment_score": "NULL", "language": "''", "sentiment": "''"}

_TASKS = "SELECT {columns}, {names} AS names, 1 AS is_task FROM analysis_rows FINAL WHERE {condition}"
_FROM_SESSIONS = "SELECT {columns}, {names} AS names, 0 AS is_task FROM {found}"
# What people added to a task that was not analysed.
_BARE = """
SELECT {columns}, [event_name] AS names, 0 AS is_task
FROM
(
    SELECT * FROM task_rows FINAL
    WHERE {tasks} AND task_id NOT IN (SELECT task_id FROM analysis_rows WHERE {ids})
) AS task
INNER JOIN ({labels}) AS label ON label.task_id = task.task_id
WHERE {is_added}
"""
_FOUND = """
SELECT {columns}, name, score, definition_version, engine FROM analysis_rows FINAL
ARRAY JOIN events.name AS name, events.score AS score, events.definition_version AS definition_version,
    events.engine AS engine
WHERE {condition} AND {of_name}
"""
# As in the view `found_events`: what was found has the score of its finding, what was nearly found its judge's.
_JUDGED = """
SELECT {columns}, open.name AS name, if(is_found, open.score, judgement.score) AS score, definition_version, engine
FROM
(
    SELECT {columns}, open.1 AS name, open.2 AS score, open.3 AS definition_version, open.4 AS engine,
        open.5 AS content, open.6 AS is_found
    FROM analysis_rows FINAL
    ARRAY JOIN arrayConcat(
        arrayMap(
            (name, score, version, engine) ->
                (name, score, version, engine, candidates.content[indexOf(candidates.name, name)], 1),
            events.name, events.score, events.definition_version, events.engine
        ),
        arrayFilter(one -> NOT has(events.name, one.1), arrayMap(
            (name, score, version, engine, content) -> (name, score, version, engine, content, 0),
            candidates.name, candidates.score, candidates.definition_version, candidates.engine, candidates.content
        ))
    ) AS open
    WHERE {condition} AND {of_name}
) AS open
LEFT ANY JOIN
(
    SELECT name, definition_version, content, answer, score FROM judgement_rows FINAL
    WHERE project_id = {{project:String}} AND {of_name} AND answer != ''
) AS judgement
ON open.name = judgement.name AND open.definition_version = judgement.definition_version
    AND open.content = judgement.content
WHERE if(judgement.answer = '', is_found, judgement.answer = 'yes')
"""
_FOUND_IN_SESSIONS = """
SELECT {columns}, name, event.score, event.definition_version, event.engine FROM
(SELECT {columns}, toString(event.name) AS name, arrayJoin(events) AS event FROM {found}) WHERE {of_name}
"""


def analysed(scope: Scope, *columns: str, also: str = "1", within: str = "1") -> str:
    """
    Return a subquery of these columns of `analysis_rows`, `names` of events, and `is_task`.

    A row with `is_task` 1 is an analysed task of `scope`, with its events. Rows with 0 follow where the project has
    any: events that were found in sessions, or that people added to tasks without an analysis, with their task's
    columns. A task has its events in all of its rows, each event in one. `also` is a condition on columns that all
    tables of tasks have; `within` one of them that names sessions.
    """
    corrections = scope.corrections
    condition = f"{scope.analyses()} AND {also} AND {within}"
    parts = [_TASKS.format(columns=", ".join(columns), names=corrections.names(scope.of_span()), condition=condition)]
    if corrections.has_session_events:
        parts.append(_in_sessions(scope, columns, also, within))
    if corrections.has_bare_labels:
        parts.append(_of_bare_labels(scope, columns, f"{also} AND {within}"))
    return f"({' UNION ALL '.join(parts)})"


def found(scope: Scope, *columns: str, of_name: str = "1") -> str:
    """
    Return a subquery of events as they were found in `scope`, before people corrected them.

    Its columns are those of all tables of tasks that are asked for, `name`, `score`, `definition_version` and
    `engine`. `of_name` is a condition on `name`.
    """
    told = {"columns": ", ".join(columns), "of_name": of_name}
    has_judgements = scope.corrections.has_judgements
    parts = [(_JUDGED if has_judgements else _FOUND).format(condition=scope.analyses(), **told)]
    if scope.corrections.has_session_events:
        kept = [f"found.{name} AS {name}" for name in columns]
        in_sessions = session_events(scope.session_analyses(), *kept, "found.events AS events")
        parts.append(_FOUND_IN_SESSIONS.format(found=in_sessions, **told))
    return f"({' UNION ALL '.join(parts)})"


def _in_sessions(scope: Scope, columns: tuple[str, ...], also: str, within: str) -> str:
    own = tuple(name for name in columns if name not in _OF_ANALYSES)
    kept = [f"found.{name} AS {name}" for name in dict.fromkeys(("task_id", *own))]
    condition = f"{scope.session_analyses()} AND {also} AND {within}"
    found = session_events(condition, *kept, "CAST(found.events.name, 'Array(String)') AS found_names", within=within)
    names = scope.corrections.names_in_sessions()
    return _FROM_SESSIONS.format(columns=_filled(columns), names=names, found=found)


def _of_bare_labels(scope: Scope, columns: tuple[str, ...], also: str) -> str:
    ids = f"project_id = {{project:String}} AND task_id IN ({labelled('confirmed', 'task_id')})"
    return _BARE.format(
        columns=_filled(columns, "task."),
        tasks=f"{scope.tasks()} AND {also} AND {ids}",
        ids=ids,
        labels=labelled("confirmed", "task_id", "event_name"),
        is_added=scope.corrections.is_added("task.task_id", "event_name", scope.of_span()),
    )


def _filled(columns: tuple[str, ...], table: str = "") -> str:
    return ", ".join(f"{_OF_ANALYSES.get(name, f'{table}{name}')} AS {name}" for name in columns)
