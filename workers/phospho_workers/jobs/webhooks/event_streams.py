"""Events in the order in which they became known, page by page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from phospho_schemas.rows.webhooks import DeliverySource
from phospho_store.events import (
    Content,
    Row,
    added_event,
    affirmed_events,
    as_judged,
    content_of,
    content_of_event,
    judged_events,
)
from phospho_store.sql import compose
from phospho_store.store import Store
from phospho_workers.jobs.alerts.alert_changes import AlertChanges

Event = Mapping[str, Any]

# Parameters: projects, names, contents.
_JUDGEMENTS = """
SELECT project_id, name, definition_version, content, answer, score, judge, value, category FROM judgement_rows FINAL
WHERE project_id IN {projects:Array(String)} AND name IN {names:Array(String)} AND content IN {contents:Array(String)}
"""
# Parameters: projects, names, tasks.
_LABELS = """
SELECT project_id, task_id, event_name AS name, toString(label) AS label FROM label_rows FINAL
WHERE project_id IN {projects:Array(String)} AND event_name IN {names:Array(String)}
    AND task_id IN {tasks:Array(String)} AND label != ''
"""


@dataclass(frozen=True)
class Position:
    """The position of a reader: the time at which a row was stored, in Unix milliseconds, and the row's identity."""

    stored_ms: int
    identity: str = ""


@dataclass(frozen=True)
class Stream:
    """A source of events. Rows of the source `waited` are read `wait_s` seconds after they were stored."""

    source: DeliverySource
    wait_s: int = 0


@dataclass(frozen=True)
class EventFilter:
    """
    The next `limit` rows of these projects, with events of these names, or of all names where empty.

    `holds` returns whether an uncertain event of a project and a name waits for a judgement.
    """

    project_ids: Sequence[str]
    names: Sequence[str]
    limit: int
    holds: Callable[[str, str], bool]


@dataclass(frozen=True)
class Page:
    """Rows with their `source` and the `events` to deliver, and the position after them; None at the end."""

    rows: Sequence[Row]
    after: Position | None


_Parameters = Mapping[str, Any]

# As times on the wire are, in milliseconds: formatDateTime tells six digits of the second.
_CREATED = "concat(replaceOne(toString(created_at, 'UTC'), ' ', 'T'), 'Z') AS created"
_COLUMNS = f"""
project_id, task_id, session_id, user_id, version_id, toUnixTimestamp64Milli(inserted_at) AS stored_ms, {_CREATED}
"""
_OF_PROJECTS = "project_id IN {projects:Array(String)}"
_AFTER = """
    AND inserted_at >= fromUnixTimestamp64Milli({stored:Int64})
    AND inserted_at <= fromUnixTimestamp64Milli({until:Int64})
    AND (stored_ms, identity) > ({stored:Int64}, {identity:String})
ORDER BY stored_ms, identity LIMIT {limit:UInt32}
"""
_HAS_EVENT = "if(empty({names:Array(String)}), notEmpty(events.name), hasAny(events.name, {names:Array(String)}))"
# Of what was nearly found: what a judge has affirmed of the same content elsewhere.
_IS_AFFIRMED = f"""
arrayExists(
    content -> content IN (SELECT content FROM judgement_rows WHERE {_OF_PROJECTS} AND answer = 'yes'),
    candidates.content
)
"""
_IS_WANTED = "(empty({names:Array(String)}) OR has({names:Array(String)}, name))"
_TASK_ANALYSES = """
SELECT $columns, events, candidates, concat(project_id, '\\n', task_id) AS identity,
    -- A replay stores a row again; since when what it says is known follows from what was logged and asked for.
    toInt64(bitShiftRight(greatest(revision, definitions_revision), 16)) AS since_ms
FROM analysis_rows FINAL WHERE $of_projects AND ($condition) $after
"""
_SESSION_ANALYSES = """
SELECT $columns, events, [] AS candidates,
    concat(project_id, '\\n', session_id, '\\n', turn, '\\n', toString(state)) AS identity
FROM session_analysis_rows FINAL WHERE $of_projects AND $condition $after
"""


def _analyses(template: str, condition: str) -> str:
    return compose(template, columns=_COLUMNS, of_projects=_OF_PROJECTS, condition=condition, after=_AFTER)


_ANALYSES: Mapping[DeliverySource, str] = {
    "task": _analyses(_TASK_ANALYSES, f"{_HAS_EVENT} OR {_IS_AFFIRMED}"),
    "waited": _analyses(_TASK_ANALYSES, f"{_HAS_EVENT} AND hasAny(events.name, candidates.name) OR {_IS_AFFIRMED}"),
    "session": _analyses(_SESSION_ANALYSES, _HAS_EVENT),
}
_ANALYSES_OF_TASKS = compose(
    """
SELECT $columns, events, candidates FROM analysis_rows FINAL
WHERE $of_projects AND task_id IN {tasks:Array(String)}
""",
    columns=_COLUMNS,
    of_projects=_OF_PROJECTS,
)
_AFFIRMATIONS = compose(
    """
SELECT project_id, task_id, name, definition_version, content, toUnixTimestamp64Milli(inserted_at) AS stored_ms,
    concat(project_id, '\\n', name, '\\n', toString(definition_version), '\\n', content) AS identity
FROM judgement_rows FINAL WHERE $of_projects AND answer = 'yes' AND $is_wanted $after
""",
    of_projects=_OF_PROJECTS,
    is_wanted=_IS_WANTED,
    after=_AFTER,
)
# A revision holds the milliseconds at which the label was given.
_CONFIRMATIONS = compose(
    """
SELECT project_id, task_id, event_name AS name, event_name, event_id, value, category,
    toInt64(bitShiftRight(label_rows.revision, 16)) AS stored_ms,
    concat(project_id, '\\n', task_id, '\\n', event_name) AS identity
FROM label_rows FINAL WHERE $of_projects AND label = 'confirmed' AND $is_wanted
    AND stored_ms <= {until:Int64} AND (stored_ms, identity) > ({stored:Int64}, {identity:String})
ORDER BY stored_ms, identity LIMIT {limit:UInt32}
""",
    of_projects=_OF_PROJECTS,
    is_wanted=_IS_WANTED,
)
_TASKS = compose(
    """
SELECT project_id, task_id, session_id, user_id, version_id, $created FROM task_rows FINAL
WHERE $of_projects AND task_id IN {tasks:Array(String)}
""",
    created=_CREATED,
    of_projects=_OF_PROJECTS,
)
_FOUND_IN_SESSIONS = """
SELECT project_id, task_id, toString(arrayJoin(events.name)) AS name FROM session_analysis_rows FINAL
WHERE project_id IN {projects:Array(String)} AND session_id IN {sessions:Array(String)}
    AND task_id IN {tasks:Array(String)}
"""


class EventStreams:
    """
    Reads of events, and of alerts' changes, as they became known. Blocking; raises what the store raises.

    `pages_url` is the address of the pages, to which the messages of alerts link.
    """

    def __init__(self, store: Store, pages_url: str = "") -> None:
        self._store = store
        self._alerts = AlertChanges(store, pages_url)
        self._annotations = AnnotationReader(store)

    def now_ms(self) -> int:
        """Return the time of the clock that stamps rows."""
        return self._store.now_ms()

    def page(self, stream: Stream, position: Position, now_ms: int, event_filter: EventFilter) -> Page:
        """Return the rows of a stream after a position, in their order."""
        parameters = {
            "projects": list(event_filter.project_ids),
            "names": list(event_filter.names),
            "stored": position.stored_ms,
            "identity": position.identity,
            "until": now_ms - 1000 * stream.wait_s,
            "limit": event_filter.limit,
        }
        rows = self._rows(stream.source, parameters, event_filter)
        after = Position(rows[-1]["stored_ms"], rows[-1]["identity"]) if len(rows) == event_filter.limit else None
        return Page([{**row, "source": stream.source} for row in rows], after)

    def _rows(self, source: DeliverySource, parameters: _Parameters, event_filter: EventFilter) -> list[dict[str, Any]]:
        if source == "alert":
            return self._alerts.rows(parameters)
        if source == "judgement":
            return self._affirmed_events(parameters)
        if source == "label":
            return self._added_events(parameters)
        rows = self._store.rows(_ANALYSES[source], parameters)
        annotations = self._annotations.of(rows)
        # No name waits in a row that has waited, and none in sessions.
        holds = event_filter.holds if source == "task" else lambda *_: False
        deliverable = [
            deliverable_events(row, annotations[row["project_id"]], partial(holds, row["project_id"])) for row in rows
        ]
        return [{**row, "events": list(events)} for row, events in zip(rows, deliverable, strict=True)]

    def _affirmed_events(self, parameters: _Parameters) -> list[dict[str, Any]]:
        """Return judgements that say yes, each with its event as the task that was asked about says it now."""
        judgements = self._store.rows(_AFFIRMATIONS, parameters)
        analyses = self._by_task(_ANALYSES_OF_TASKS, judgements)
        annotations = self._annotations.of(list(analyses.values()))
        rows = []
        for judgement in judgements:
            row = analyses.get(_task(judgement))
            events = affirmed(row, annotations[row["project_id"]]) if row is not None else ()
            rows.append(
                _row_at_position(judgement, row, [event for event in events if event["name"] == judgement["name"]])
            )
        return rows

    def _added_events(self, parameters: _Parameters) -> list[dict[str, Any]]:
        """Return labels that confirm, each with its event where nobody but a person has found it."""
        labels = self._store.rows(_CONFIRMATIONS, parameters)
        tasks = self._by_task(_TASKS, labels)
        found_keys = self._found_in(list(tasks.values()))
        return [
            _row_at_position(
                label,
                tasks.get(_task(label)),
                [] if (*_task(label), label["event_name"]) in found_keys else [added_event(label)],
            )
            for label in labels
        ]

    def _found_in(self, tasks: Sequence[Row]) -> set[tuple[str, str, str]]:
        """Return project, task and name of what was found in tasks, and not denied by a judge."""
        analyses = list(self._by_task(_ANALYSES_OF_TASKS, tasks).values())
        annotations = self._annotations.of(analyses)
        in_tasks = {
            (*_task(analysis), event["name"])
            for analysis in analyses
            for event in judged_events(analysis, annotations[analysis["project_id"]].judgements)
        }
        sessions = {"sessions": sorted({task["session_id"] for task in tasks})}
        session_rows = self._store.rows(_FOUND_IN_SESSIONS, _keys(tasks) | sessions) if tasks else []
        return in_tasks | {(*_task(row), row["name"]) for row in session_rows}

    def _by_task(self, sql: str, rows: Sequence[Row]) -> dict[tuple[str, str], dict[str, Any]]:
        """Return by project and task the rows that a query has for the tasks of `rows`."""
        return {_task(row): row for row in self._store.rows(sql, _keys(rows))} if rows else {}


def _task(row: Row) -> tuple[str, str]:
    return row["project_id"], row["task_id"]


def _keys(rows: Sequence[Row]) -> dict[str, list[str]]:
    return {
        "projects": sorted({row["project_id"] for row in rows}),
        "tasks": sorted({row["task_id"] for row in rows}),
    }


def _row_at_position(annotation: Row, row: Row | None, events: Sequence[Event]) -> dict[str, Any]:
    """Return a task's row at the position of a judgement or label, with its events; none without a task."""
    position = {name: annotation[name] for name in ("project_id", "stored_ms", "identity")}
    return {**(row or {}), **position, "events": list(events) if row is not None else []}


def deliverable_events(row: Row, annotations: Annotations, is_held: Callable[[str], bool]) -> Iterator[Event]:
    """
    Yield the events of an analysis that are delivered now; labels come before judgements.

    An event in doubt without a label and a judgement is left out where `is_held` is true of its name.
    """
    # A label says here only whether an event is sent. The value and category that people give it are for readers
    # (`labelled_events`): a receiver gets what was detected.
    for event in row["events"]:
        content = content_of_event(row, event)
        label = annotations.labels.get((row["task_id"], event["name"]))
        if content is None or label == "confirmed":
            yield event
        elif label == "rejected":
            continue
        elif (judgement := annotations.judgements.get(content)) is not None:
            if judgement["answer"] != "no":
                yield as_judged(event, judgement)
        elif not is_held(event["name"]):
            yield event
    yield from affirmed(row, annotations)


def affirmed(row: Row, annotations: Annotations) -> Iterator[Event]:
    """Yield the events of an analysis that were nearly found, that a judge affirmed and that nobody rejected."""
    for event in affirmed_events(row, annotations.judgements):
        if annotations.labels.get((row["task_id"], event["name"])) != "rejected":
            yield event


class Annotations(NamedTuple):
    """Judgements by their content, and labels (confirmed, rejected) by task and event name, of one project."""

    judgements: Mapping[Content, Row]
    labels: Mapping[tuple[str, str], str]


class AnnotationReader:
    """Reads of judgements and labels. Blocking; raises what the store raises."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def of(self, analyses: Sequence[Row]) -> Mapping[str, Annotations]:
        """Return by project the judgements and labels on the candidates of analyses."""
        project_ids = {row["project_id"] for row in analyses}
        judgements: dict[str, dict[Content, Row]] = {project_id: {} for project_id in project_ids}
        labels: dict[str, dict[tuple[str, str], str]] = {project_id: {} for project_id in project_ids}
        uncertain = [row for row in analyses if row["candidates"]]
        if uncertain:
            parameters = _parameters(uncertain)
            for judgement in self._store.rows(_JUDGEMENTS, parameters):
                judgements[judgement["project_id"]][content_of(judgement)] = judgement
            for label in self._store.rows(_LABELS, parameters):
                labels[label["project_id"]][label["task_id"], label["name"]] = label["label"]
        return {project_id: Annotations(judgements[project_id], labels[project_id]) for project_id in project_ids}


def _parameters(analyses: Sequence[Row]) -> dict[str, list[str]]:
    candidates = [candidate for row in analyses for candidate in row["candidates"]]
    return {
        "projects": sorted({row["project_id"] for row in analyses}),
        "tasks": sorted({row["task_id"] for row in analyses}),
        "names": sorted({candidate["name"] for candidate in candidates}),
        "contents": sorted({candidate["content"] for candidate in candidates}),
    }
