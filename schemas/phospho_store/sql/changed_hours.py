"""SQL that finds the hours whose counts may have changed, by what arrived since a time."""

from __future__ import annotations

from dataclasses import dataclass

from phospho_store.sql import compose
from phospho_store.sql.corrections import Corrections
from phospho_store.sql.rollups import HOUR, ID_HOUR

EVERY_CORRECTION = Corrections(
    has_labels=True, has_judgements=True, has_session_events=True, has_feedback=True, has_bare_labels=True
)


@dataclass(frozen=True)
class Arrivals:
    """The kinds of rows that have arrived."""

    tasks: bool = True
    analyses: bool = True
    feedback: bool = True
    labels: bool = True
    judgements: bool = True
    session_analyses: bool = True


# Labels have no time of arrival, and a revision from another clock. Clocks differ by less than this.
_SKEW_MS = 60_000

_ARRIVED_TASKS = """(
    SELECT project_id, task_id FROM task_rows WHERE $projects AND $arrived
    UNION DISTINCT
    SELECT project_id, task_id FROM analysis_rows WHERE $projects AND $arrived
)"""
# The hours of tasks that arrived, now and before: the first hour of a task is told by its id, or stands beside it.
_OF_TASKS = """
SELECT project_id, arrayJoin([$hour, $id_hour]) AS hour FROM task_rows WHERE $projects AND $arrived
UNION DISTINCT
SELECT project_id, arrayJoin([$hour, $id_hour]) AS hour FROM analysis_rows WHERE $projects AND $arrived
UNION DISTINCT
SELECT project_id, hour FROM rollup_rows
WHERE $projects AND project_id IN (SELECT project_id FROM $arrived_tasks)
    AND dimension IN ('activity', 'findings') AND notEmpty(moved_tasks)
    AND arrayExists(
        task -> (project_id, task) IN (SELECT project_id, cityHash64(task_id) FROM $arrived_tasks), moved_tasks
    )
"""
# The hours of tasks that people spoke about.
_OF_ANNOTATIONS = """
SELECT project_id, $hour AS hour FROM task_rows WHERE $projects AND (project_id, task_id) IN $annotated
UNION DISTINCT
SELECT project_id, $hour AS hour FROM analysis_rows WHERE $projects AND (project_id, task_id) IN $annotated
"""
_ANNOTATED = """(
    SELECT project_id, task_id FROM feedback_rows WHERE $projects AND $arrived
    UNION DISTINCT
    SELECT project_id, task_id FROM label_rows
    WHERE $projects AND $labelled_since
)"""
_OF_JUDGEMENTS = """
SELECT project_id, $hour AS hour FROM analysis_rows
WHERE $projects AND project_id IN (SELECT project_id FROM judgement_rows WHERE $projects AND $arrived)
    AND arrayExists(
        content -> (project_id, content) IN
            (SELECT project_id, content FROM judgement_rows WHERE $projects AND $arrived),
        candidates.content
    )
"""
# The events of a session hold for a state of it: a task that arrives, or leaves it, changes those at other tasks.
_OF_SESSIONS = """
SELECT project_id, $hour AS hour FROM session_analysis_rows WHERE $projects AND $arrived
UNION DISTINCT
SELECT project_id, $hour AS hour FROM session_analysis_rows
WHERE $projects AND notEmpty(events.name) AND (project_id, session_id) IN
(
    SELECT project_id, session_id FROM task_rows WHERE $projects AND $arrived
    UNION DISTINCT
    SELECT project_id, session_id FROM session_task_rows WHERE $projects AND (project_id, task_id) IN $arrived_tasks
)
"""


def arrivals(projects: str, since_ms: str) -> str:
    """Return the columns of a query that tell the Arrivals of projects since a time."""
    arrived = f"inserted_at >= fromUnixTimestamp64Milli({since_ms})"
    tables = {
        "tasks": "task_rows",
        "analyses": "analysis_rows",
        "feedback": "feedback_rows",
        "judgements": "judgement_rows",
        "session_analyses": "session_analysis_rows",
    }
    conditions = {kind: f"{table} WHERE {projects} AND {arrived}" for kind, table in tables.items()}
    conditions["labels"] = f"label_rows WHERE {projects} AND {_labelled_since(since_ms)}"
    return ", ".join(f"EXISTS(SELECT 1 FROM {rows} LIMIT 1) AS {kind}" for kind, rows in conditions.items())


def changed_hours(
    projects: str,
    since_ms: str,
    before_ms: str = "",
    *,
    corrections: Corrections = EVERY_CORRECTION,
    kinds: Arrivals = Arrivals(),
) -> str:
    """
    Return the query of `project_id` and `hour`: every hour that changed by what arrived from `since_ms` on.

    `projects` is a condition on the project. `since_ms` and `before_ms`, where it is given, are expressions of Unix
    milliseconds by ClickHouse's clock. `corrections` are the kinds that the projects have, `kinds` what has arrived;
    the query is empty where nothing has. An hour may be returned that has not changed.
    """
    arrived = f"inserted_at >= fromUnixTimestamp64Milli({since_ms})"
    if before_ms:
        arrived += f" AND inserted_at < fromUnixTimestamp64Milli({before_ms})"
    parts = {"projects": projects, "arrived": arrived, "hour": HOUR, "id_hour": ID_HOUR}
    parts["arrived_tasks"] = compose(_ARRIVED_TASKS, **parts)
    parts["annotated"] = compose(_ANNOTATED, labelled_since=_labelled_since(since_ms), **parts)
    has_tasks = kinds.tasks or kinds.analyses
    is_needed = {
        _OF_TASKS: has_tasks,
        _OF_ANNOTATIONS: (corrections.has_feedback and kinds.feedback) or (corrections.has_labels and kinds.labels),
        _OF_JUDGEMENTS: corrections.has_judgements and kinds.judgements,
        _OF_SESSIONS: corrections.has_session_events and (kinds.session_analyses or has_tasks),
    }
    return "UNION DISTINCT".join(compose(query, **parts) for query, needed in is_needed.items() if needed)


def _labelled_since(since_ms: str) -> str:
    return f"bitShiftRight(revision, 16) >= toUInt64(greatest({since_ms} - {_SKEW_MS}, 0))"
