"""
SQL of the views `found_events` and `events`: an event a row, with every column that readers see.

Each kind of corrections costs a join. A reader of one project leaves out those that it doesn't have.
"""

from __future__ import annotations

from collections.abc import Iterable

from phospho_store.sql import compose
from phospho_store.sql.corrections import Corrections
from phospho_store.sql.events import EVENT_FIELDS, found_names, judged_events
from phospho_store.sql.sessions import session_events

ALL_CORRECTIONS = Corrections(
    has_labels=True, has_judgements=True, has_session_events=True, has_feedback=True, has_bare_labels=True
)

_TASK_COLUMNS = ("project_id", "task_id", "session_id", "user_id", "version_id", "created_at")
_COLUMNS = ("project_id", "id", "name", *_TASK_COLUMNS[1:], *EVENT_FIELDS[2:])
_LABEL_COLUMNS = ("project_id", "task_id", "event_name", "event_id", "label", "value", "category")
# The tasks of which somebody confirmed an event, perhaps taken back since.
_IS_LABELLED = "(project_id, task_id) IN (SELECT project_id, task_id FROM label_rows WHERE label = 'confirmed')"

_FOUND = "SELECT $columns, $fields FROM $source ARRAY JOIN $arrays"
_JUDGED = "SELECT $columns, $fields FROM $judged_events"

# The types are those that the labels' join and union make.
_UNLABELLED = "SELECT $columns, toLowCardinality('') AS label FROM ($found_events) AS event"
_LABELLED = """
SELECT
    $columns,
    coalesce(label.value, event.value) AS value,
    if(label.category != '', label.category, event.category) AS category,
    label.label AS label
FROM ($found_events) AS event
LEFT ANY JOIN (SELECT $label_columns FROM label_rows FINAL WHERE label != '') AS label
ON event.project_id = label.project_id AND event.task_id = label.task_id AND event.name = label.event_name
WHERE label.label != 'rejected'
UNION ALL
SELECT
    task.project_id AS project_id,
    label.event_id AS id,
    label.event_name AS name,
    $task_columns,
    0 AS definition_version,
    'person' AS engine,
    'task' AS scope,
    1 AS score,
    '' AS evidence,
    0 AS classifier_version,
    '' AS judge,
    label.value AS value,
    label.category AS category,
    label.label AS label
FROM (SELECT $label_columns FROM label_rows FINAL WHERE label = 'confirmed') AS label
INNER JOIN (SELECT project_id, $columns_of_tasks FROM task_rows FINAL WHERE $is_labelled) AS task
ON label.project_id = task.project_id AND label.task_id = task.task_id
LEFT ANTI JOIN ($found_names) AS found
ON label.project_id = found.project_id AND label.task_id = found.task_id AND label.event_name = found.name
"""
_FOUND_NAMES = "SELECT project_id, task_id, arrayJoin($names) AS name FROM analysis_rows FINAL WHERE $is_labelled"
_NAMES_IN_SESSIONS = "SELECT project_id, task_id, name FROM $session_events ARRAY JOIN names AS name"


def found_events(corrections: Corrections) -> str:
    """Return the query of events as they were found, after judgements and before labels, of every project."""
    lists = {"columns": _listed(_TASK_COLUMNS), "fields": _listed(EVENT_FIELDS), "arrays": _arrays()}
    if corrections.has_judgements:
        parts = [compose(_JUDGED, **lists, judged_events=judged_events(_TASK_COLUMNS, EVENT_FIELDS))]
    else:
        parts = [compose(_FOUND, **lists, source="analysis_rows FINAL")]
    if corrections.has_session_events:
        in_sessions = session_events("1", *_of("found", *_TASK_COLUMNS, "events"), tasks="1")
        parts.append(compose(_FOUND, **lists, source=in_sessions))
    return "\nUNION ALL\n".join(parts)


def current_events(corrections: Corrections) -> str:
    """Return the query of events as they are now, of every project."""
    found_query = found_events(corrections)
    if not corrections.has_labels:
        return compose(_UNLABELLED, columns=_listed(map(_as_labelled, _COLUMNS)), found_events=found_query)
    return compose(
        _LABELLED,
        columns=_listed(_of("event", *(name for name in _COLUMNS if name not in _LABEL_COLUMNS[-2:]))),
        task_columns=_listed(_of("task", *_TASK_COLUMNS[1:])),
        columns_of_tasks=_listed(_TASK_COLUMNS[1:]),
        label_columns=_listed(_LABEL_COLUMNS),
        is_labelled=_IS_LABELLED,
        found_events=found_query,
        found_names=_found_names(corrections),
    )


def _found_names(corrections: Corrections) -> str:
    """Return the query of the names that were found in tasks with labels, one a row."""
    names = found_names(has_judgements=corrections.has_judgements, of_project="1")
    parts = [compose(_FOUND_NAMES, names=names, is_labelled=_IS_LABELLED)]
    if corrections.has_session_events:
        columns = (*_of("found", "project_id", "task_id"), "found.events.name AS names")
        in_sessions = session_events(_IS_LABELLED, *columns, tasks="1")
        parts.append(compose(_NAMES_IN_SESSIONS, session_events=in_sessions))
    return "\nUNION ALL\n".join(parts)


def _arrays() -> str:
    return _listed([f"events.{name} AS {name}" for name in EVENT_FIELDS])


def _of(table: str, *columns: str) -> list[str]:
    return [f"{table}.{name} AS {name}" for name in columns]


def _as_labelled(name: str) -> str:
    is_text = name in ("name", "engine", "scope", "judge", "category")
    return f"CAST(event.{name}, 'String') AS {name}" if is_text else f"event.{name} AS {name}"


def _listed(columns: Iterable[str]) -> str:
    return ", ".join(columns)
