"""The events of the tasks of one page: those of the view `events`, and beside them what people rejected."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from phospho_dashboard.queries.corrections import session_events
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
# By the primary key, and nothing for most pages: whether it still holds is asked only where something was found.
_ANALYSED_SESSIONS = """
SELECT DISTINCT session_id FROM session_analysis_rows
WHERE project_id = {project:String} AND session_id IN {sessions:Array(String)} AND notEmpty(events.name)
"""
_IN_SESSIONS = "SELECT task_id, arrayJoin(events) AS event FROM {found} ORDER BY task_id, turn".format(
    found=session_events(
        "project_id = {project:String} AND session_id IN {sessions:Array(String)} AND task_id IN {tasks:Array(String)}",
        "found.task_id AS task_id",
        "found.turn AS turn",
        "found.events AS events",
        within="session_id IN {sessions:Array(String)}",
    )
)
_NOT_SAID = {"evidence": "", "classifier_version": 0, "judge": "", "value": None, "category": ""}

Row = dict[str, Any]
_Content = tuple[str, int, str]


class TaskEvents:
    """Reads events of tasks."""

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
        in_sessions = self._in_sessions(parameters, tasks)
        judgements = self._judgements(project_id, analyses)
        return {
            task_id: _labelled(
                _judged(analyses.get(task_id, {}), judgements) + [row["event"] for row in in_sessions[task_id]],
                labels[task_id],
            )
            for task_id in ids
        }

    def _in_sessions(self, parameters: Row, tasks: Sequence[Row]) -> dict[str, list[Row]]:
        sessions = _distinct(tasks, "session_id")
        analysed = self._store.rows(_ANALYSED_SESSIONS, parameters | {"sessions": sessions})
        if not analysed:
            return defaultdict(list)
        found = parameters | {"sessions": _distinct(analysed, "session_id")}
        return _by_task(self._store.rows(_IN_SESSIONS, found))

    def _judgements(self, project_id: str, analyses: Mapping[str, Row]) -> dict[_Content, Row]:
        candidates = [candidate for row in analyses.values() for candidate in row["candidates"]]
        if not candidates:
            return {}
        asked = {"names": _distinct(candidates, "name"), "contents": _distinct(candidates, "content")}
        return {_content(row): row for row in self._store.rows(_JUDGEMENTS, {"project": project_id, **asked})}


def _judged(analysis: Row, judgements: Mapping[_Content, Row]) -> list[Row]:
    """Return what was found in a task after judgements, by the rules of the view `found_events`."""
    events, candidates = analysis.get("events", []), analysis.get("candidates", [])
    contents = {candidate["name"]: candidate["content"] for candidate in reversed(candidates)}
    found = [
        _opinion(event, judgement) if judgement else event
        for event in events
        for judgement in [judgements.get((event["name"], event["definition_version"], contents.get(event["name"], "")))]
        if judgement is None or judgement["answer"] == "yes"
    ]
    names = {event["name"] for event in events}
    affirmed = [
        _opinion(_NOT_SAID | candidate | {"score": judgement["score"]}, judgement)
        for candidate in candidates
        for judgement in [judgements.get(_content(candidate))]
        if candidate["name"] not in names and judgement is not None and judgement["answer"] == "yes"
    ]
    return found + [{name: event[name] for name in event if name not in ("doubt", "content")} for event in affirmed]


def _opinion(event: Row, judgement: Row) -> Row:
    """Return an event with what its judge said beside yes."""
    value = judgement["value"] if judgement["value"] is not None else event["value"]
    told = {"judge": judgement["judge"] or event["judge"], "category": judgement["category"] or event["category"]}
    return event | told | {"value": value}


def _labelled(events: list[Row], labels: list[Row]) -> list[Row]:
    """Return events with what people said of each, and then what people added."""
    by_name = {label["event_name"]: label for label in labels}
    found = [event | _said(event, by_name.get(event["name"])) for event in events]
    names = {event["name"] for event in events}
    added = [label for label in labels if label["label"] == "confirmed" and label["event_name"] not in names]
    return found + [_added(label) for label in added]


def _said(event: Row, label: Row | None) -> Row:
    if label is None:
        return {"label": ""}
    value = label["value"] if label["value"] is not None else event["value"]
    return {"label": label["label"], "value": value, "category": label["category"] or event["category"]}


def _added(label: Row) -> Row:
    """Return the event of a label as the view `events` has it."""
    fixed = {"engine": "person", "scope": "task", "score": 1.0, "evidence": "", "definition_version": 0}
    told = {name: label[name] for name in ("label", "value", "category")}
    return {"id": label["event_id"], "name": label["event_name"], **fixed, "classifier_version": 0, "judge": "", **told}


def _content(row: Row) -> _Content:
    return row["name"], row["definition_version"], row["content"]


def _distinct(rows: Iterable[Row], column: str) -> list[str]:
    return sorted({row[column] for row in rows})


def _by_task(rows: Iterable[Row]) -> dict[str, list[Row]]:
    grouped: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        grouped[row.pop("task_id")].append(row)
    return grouped
