"""Events in the order in which they became known: what webhooks are told of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from phospho_schemas.webhooks import DeliverySource
from phospho_store.store import Store
from phospho_workers.jobs.webhooks.payloads import Content, Event, Judgement, Opinions, Row, affirmed, told


@dataclass(frozen=True)
class Place:
    """Where a reader stands: the time at which a row was stored, in milliseconds, and the row's identity."""

    stored_ms: int
    identity: str = ""


@dataclass(frozen=True)
class Stream:
    """One way in which events become known. Of what `waited`, rows are read so many seconds after they were stored."""

    source: DeliverySource
    wait_s: int = 0


@dataclass(frozen=True)
class Wanted:
    """
    What a reader wants of a stream: the next `limit` rows of these projects, of these names or of all where empty.

    `waits` tells whether an event of a project and a name waits for a judgement.
    """

    project_ids: Sequence[str]
    names: Sequence[str]
    limit: int
    waits: Callable[[str, str], bool]


@dataclass(frozen=True)
class Page:
    """Rows with their `source` and the `events` to be told, and the place after them; None where there are no more."""

    rows: Sequence[Row]
    after: Place | None


_Parameters = Mapping[str, Any]

# As times on the wire are, in milliseconds: formatDateTime tells six digits of the second.
_CREATED = "concat(replaceOne(toString(created_at, 'UTC'), ' ', 'T'), 'Z') AS created"
_TIMES = f"toUnixTimestamp64Milli(inserted_at) AS stored_ms, {_CREATED}"
_WHO = "project_id, task_id, session_id, user_id, version_id"
_AFTER = """
    AND inserted_at >= fromUnixTimestamp64Milli({stored:Int64})
    AND inserted_at <= fromUnixTimestamp64Milli({until:Int64})
    AND (stored_ms, identity) > ({stored:Int64}, {identity:String})
ORDER BY stored_ms, identity LIMIT {limit:UInt32}
"""
_HOLDS = "if(empty({names:Array(String)}), notEmpty(events.name), hasAny(events.name, {names:Array(String)}))"
# What was nearly found and says what a judge has affirmed elsewhere.
_AFFIRMED = """
arrayExists(
    one -> one IN (SELECT content FROM judgement_rows WHERE project_id IN {projects:Array(String)} AND answer = 'yes'),
    candidates.content
)
"""
# A replay stores a row again; since when what it says is known follows from what was logged and asked for.
_SINCE = "toInt64(bitShiftRight(greatest(revision, definitions_revision), 16)) AS since_ms"
_TASKS = (
    f"SELECT {_WHO}, events, candidates, concat(project_id, '\\n', task_id) AS identity, {_TIMES}, {_SINCE}"
    " FROM analysis_rows FINAL WHERE project_id IN {projects:Array(String)} AND "
)
_ANALYSES: Mapping[DeliverySource, str] = {
    "task": f"{_TASKS} ({_HOLDS} OR {_AFFIRMED}) {_AFTER}",
    "waited": f"{_TASKS} ({_HOLDS} AND hasAny(events.name, candidates.name) OR {_AFFIRMED}) {_AFTER}",
    "session": (
        f"SELECT {_WHO}, events, [] AS candidates, {_TIMES},"
        " concat(project_id, '\\n', session_id, '\\n', turn, '\\n', toString(state)) AS identity FROM"
        f" session_analysis_rows FINAL WHERE project_id IN {{projects:Array(String)}} AND {_HOLDS}"
        f" {_AFTER}"
    ),
}
_ANALYSES_OF = (
    f"SELECT {_WHO}, events, candidates, {_TIMES} FROM analysis_rows FINAL"
    " WHERE project_id IN {projects:Array(String)} AND task_id IN {tasks:Array(String)}"
)
_IS_WANTED = "(empty({names:Array(String)}) OR has({names:Array(String)}, name))"
_AFFIRMATIONS = f"""
SELECT project_id, task_id, name, definition_version, content, toUnixTimestamp64Milli(inserted_at) AS stored_ms,
    concat(project_id, '\\n', name, '\\n', toString(definition_version), '\\n', content) AS identity
FROM judgement_rows FINAL WHERE project_id IN {{projects:Array(String)}} AND answer = 'yes' AND {_IS_WANTED} {_AFTER}
"""
_JUDGEMENTS = """
SELECT project_id, name, definition_version, content, answer, score, judge, value, category FROM judgement_rows FINAL
WHERE project_id IN {projects:Array(String)} AND name IN {names:Array(String)} AND content IN {contents:Array(String)}
"""
# A revision holds the milliseconds at which the label was given.
_ADDED = f"""
SELECT project_id, task_id, event_name AS name, event_id AS id, value, category,
    toInt64(bitShiftRight(label_rows.revision, 16)) AS stored_ms,
    concat(project_id, '\\n', task_id, '\\n', event_name) AS identity
FROM label_rows FINAL WHERE project_id IN {{projects:Array(String)}} AND label = 'confirmed' AND {_IS_WANTED}
    AND stored_ms <= {{until:Int64}} AND (stored_ms, identity) > ({{stored:Int64}}, {{identity:String}})
ORDER BY stored_ms, identity LIMIT {{limit:UInt32}}
"""
_TASKS_OF = f"""
SELECT project_id, task_id, session_id, user_id, version_id, {_CREATED} FROM task_rows FINAL
WHERE project_id IN {{projects:Array(String)}} AND task_id IN {{tasks:Array(String)}}
"""
_FOUND_IN_SESSIONS = """
SELECT project_id, task_id, toString(arrayJoin(events.name)) AS name FROM session_analysis_rows FINAL
WHERE project_id IN {projects:Array(String)} AND session_id IN {sessions:Array(String)}
    AND task_id IN {tasks:Array(String)}
"""
_LABELS = """
SELECT project_id, task_id, event_name AS name, toString(label) AS label FROM label_rows FINAL
WHERE project_id IN {projects:Array(String)} AND event_name IN {names:Array(String)}
    AND task_id IN {tasks:Array(String)} AND label != ''
"""


class FoundEvents:
    """Reads of events by the time at which they became known. Blocking; raises what the store raises."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def now_ms(self) -> int:
        """Return the time of the clock that stamps rows."""
        return self._store.now_ms()

    def page(self, stream: Stream, place: Place, now_ms: int, wanted: Wanted) -> Page:
        """Return the rows of a stream after a place, in their order."""
        parameters = {
            "projects": list(wanted.project_ids),
            "names": list(wanted.names),
            "stored": place.stored_ms,
            "identity": place.identity,
            "until": now_ms - 1000 * stream.wait_s,
            "limit": wanted.limit,
        }
        rows = self._rows(stream.source, parameters, wanted)
        after = Place(rows[-1]["stored_ms"], rows[-1]["identity"]) if len(rows) == wanted.limit else None
        return Page([{**row, "source": stream.source} for row in rows], after)

    def _rows(self, source: DeliverySource, parameters: _Parameters, wanted: Wanted) -> list[dict[str, Any]]:
        if source == "judgement":
            return self._affirmed(parameters)
        if source == "label":
            return self._added(parameters)
        rows = self._store.rows(_ANALYSES[source], parameters)
        opinions = self._opinions(rows)
        return [
            {**row, "events": list(told(row, opinions[row["project_id"]], _waits(source, row, wanted)))} for row in rows
        ]

    def _affirmed(self, parameters: _Parameters) -> list[dict[str, Any]]:
        """Return judgements that say yes, each with its event in the task that was asked about, as that says it now."""
        judgements = self._store.rows(_AFFIRMATIONS, parameters)
        analyses = self._of_tasks(_ANALYSES_OF, judgements)
        opinions = self._opinions(list(analyses.values()))
        rows = []
        for one in judgements:
            row = analyses.get(_task(one))
            events = affirmed(row, opinions[row["project_id"]]) if row is not None else ()
            rows.append(_known_by(one, row, [event for event in events if event["name"] == one["name"]]))
        return rows

    def _added(self, parameters: _Parameters) -> list[dict[str, Any]]:
        """Return labels that confirm, each with its event where nobody but a person has found it."""
        labels = self._store.rows(_ADDED, parameters)
        tasks = self._of_tasks(_TASKS_OF, labels)
        known = self._found_in(list(tasks.values()))
        return [
            _known_by(one, tasks.get(_task(one)), [] if (*_task(one), one["name"]) in known else [_of_person(one)])
            for one in labels
        ]

    def _found_in(self, tasks: Sequence[Row]) -> set[tuple[str, str, str]]:
        """Return project, task and name of what was found in tasks, and not denied by a judge."""
        rows = list(self._of_tasks(_ANALYSES_OF, tasks).values())
        opinions = self._opinions(rows)
        found = {
            (*_task(row), event["name"])
            for row in rows
            for event in told(row, opinions[row["project_id"]]._replace(labels={}), lambda _: False)
        }
        sessions = {"sessions": sorted({one["session_id"] for one in tasks})}
        of_sessions = self._store.rows(_FOUND_IN_SESSIONS, _keys(tasks) | sessions) if tasks else []
        return found | {(*_task(one), one["name"]) for one in of_sessions}

    def _of_tasks(self, sql: str, rows: Sequence[Row]) -> dict[tuple[str, str], dict[str, Any]]:
        """Return by project and task what a question says of the tasks that rows are of."""
        return {_task(one): one for one in self._store.rows(sql, _keys(rows))} if rows else {}

    def _opinions(self, rows: Sequence[Row]) -> Mapping[str, Opinions]:
        """Return by project what judges and people say of the candidates of analyses."""
        doubtful = [row for row in rows if row["candidates"]]
        opinions = {row["project_id"]: Opinions({}, {}) for row in rows}
        if not doubtful:
            return opinions
        candidates = [one for row in doubtful for one in row["candidates"]]
        names = {"names": sorted({one["name"] for one in candidates})}
        contents = {"contents": sorted({one["content"] for one in candidates})}
        judgements: dict[str, dict[Content, Judgement]] = {project_id: {} for project_id in opinions}
        for one in self._store.rows(_JUDGEMENTS, _keys(doubtful) | names | contents):
            content = (one["name"], one["definition_version"], one["content"])
            judgement = Judgement(one["answer"], one["score"], one["judge"], one["value"], one["category"])
            judgements[one["project_id"]][content] = judgement
        labels: dict[str, dict[tuple[str, str], str]] = {project_id: {} for project_id in opinions}
        for one in self._store.rows(_LABELS, _keys(doubtful) | names):
            labels[one["project_id"]][one["task_id"], one["name"]] = one["label"]
        return {project_id: Opinions(judgements[project_id], labels[project_id]) for project_id in opinions}


def _waits(source: DeliverySource, row: Row, wanted: Wanted) -> Callable[[str], bool]:
    """Return what tells whether an event of a row waits: not one that has waited, and nobody is asked of sessions."""
    return partial(wanted.waits, row["project_id"]) if source == "task" else lambda _: False


def _task(row: Row) -> tuple[str, str]:
    return row["project_id"], row["task_id"]


def _keys(rows: Sequence[Row]) -> dict[str, list[str]]:
    return {
        "projects": sorted({row["project_id"] for row in rows}),
        "tasks": sorted({row["task_id"] for row in rows}),
    }


def _known_by(one: Row, row: Row | None, events: Sequence[Event]) -> dict[str, Any]:
    """Return a task's row with the place at which its events became known; without events where there is no task."""
    place = {name: one[name] for name in ("project_id", "stored_ms", "identity")}
    return {**(row or {}), **place, "events": list(events) if row is not None else []}


def _of_person(label: Row) -> Event:
    """Return the event that a label adds, as readers see it."""
    fixed = {"definition_version": 0, "engine": "person", "scope": "task", "score": 1.0, "evidence": ""}
    return {name: label[name] for name in ("id", "name", "value", "category")} | fixed
