"""The events of the tasks of one page: those of the view `events`, and beside them those that people rejected."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from phospho_store.events import Content, content_of, judged_events, labelled_events
from phospho_store.sql import compose
from phospho_store.sql.sessions import session_events
from phospho_store.store import Store

_LABELS = """
SELECT task_id, event_name, label, event_id, value, category
FROM label_rows FINAL
WHERE project_id = {project:String} AND task_id IN {tasks:Array(String)} AND label != ''
ORDER BY event_name
"""
_JUDGEMENTS = """
SELECT name, definition_version, content, answer, score, judge, value, category
FROM judgement_rows FINAL
WHERE project_id = {project:String} AND name IN {names:Array(String)} AND content IN {contents:Array(String)}
    AND answer != ''
"""
# By the primary key, and nothing for most pages: their state is read only for the sessions that have events.
_SESSIONS_WITH_EVENTS = """
SELECT DISTINCT session_id FROM session_analysis_rows
WHERE project_id = {project:String} AND session_id IN {sessions:Array(String)} AND notEmpty(events.name)
"""
_OF_SESSIONS = "project_id = {project:String} AND session_id IN {sessions:Array(String)}"
_SESSION_EVENTS = compose(
    "SELECT task_id, arrayJoin(events) AS event FROM $session_events ORDER BY task_id, turn",
    session_events=session_events(
        _OF_SESSIONS + " AND task_id IN {tasks:Array(String)}",
        "found.task_id AS task_id",
        "found.turn AS turn",
        "found.events AS events",
        tasks=_OF_SESSIONS,
    ),
)

Row = dict[str, Any]


class TaskEvents:
    """Reads of the events of tasks. Blocking; raises what the store raises."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def events(self, project_id: str, tasks: Sequence[Row], analyses: Mapping[str, Row]) -> dict[str, list[Row]]:
        """
        Return, by task, its events in the order in which they were found, each with a person's `label`.

        A rejected event is still listed, so that its rejection can be seen and taken back. What was found in a session
        stands at its last task, and what was found in a turn with those before it at the turn's. `analyses` are rows
        of `analysis_rows`, by task, with `events` and `candidates`.
        """
        ids = [task["task_id"] for task in tasks]
        parameters = {"project": project_id, "tasks": ids}
        labels = _by_task(self._store.rows(_LABELS, parameters))
        session_rows = self._session_events(parameters, tasks)
        judgements = self._judgements(project_id, analyses)
        events: dict[str, list[Row]] = {}
        for task_id in ids:
            analysis = analyses.get(task_id)
            own_events = judged_events(analysis, judgements) if analysis else ()
            in_sessions = (row["event"] for row in session_rows[task_id])
            events[task_id] = list(labelled_events([*own_events, *in_sessions], labels[task_id]))
        return events

    def _session_events(self, parameters: Row, tasks: Sequence[Row]) -> dict[str, list[Row]]:
        sessions = _distinct(tasks, "session_id")
        rows = self._store.rows(_SESSIONS_WITH_EVENTS, parameters | {"sessions": sessions})
        if not rows:
            return defaultdict(list)
        return _by_task(self._store.rows(_SESSION_EVENTS, parameters | {"sessions": _distinct(rows, "session_id")}))

    def _judgements(self, project_id: str, analyses: Mapping[str, Row]) -> dict[Content, Row]:
        candidates = [candidate for row in analyses.values() for candidate in row["candidates"]]
        if not candidates:
            return {}
        contents = {"names": _distinct(candidates, "name"), "contents": _distinct(candidates, "content")}
        rows = self._store.rows(_JUDGEMENTS, {"project": project_id, **contents})
        return {content_of(row): row for row in rows}


def _distinct(rows: Iterable[Row], column: str) -> list[str]:
    return sorted({row[column] for row in rows})


def _by_task(rows: Iterable[Row]) -> dict[str, list[Row]]:
    grouped: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        grouped[row.pop("task_id")].append(row)
    return grouped
