"""Sessions out of ClickHouse: by their ids, or as a page of a project. They follow from their tasks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from phospho_gateway.legacy.reads.chunks import chunks
from phospho_gateway.legacy.reads.filters import Condition
from phospho_gateway.legacy.reads.task_reads import EVENTS, LIMITS, Row
from phospho_store.cursors import encoded_cursor
from phospho_store.store import Store

EVENTS_OF_A_SESSION = 50
PREVIEW_CHARACTERS = 200
_END_OF_TIME = (2**62, "")

_NEWEST = """
SELECT session_id, toUnixTimestamp64Milli(max(created_at)) AS last_task_at_ms
FROM task_rows FINAL
WHERE project_id = {project:String}
    AND session_id IN (SELECT session_id FROM task_rows FINAL WHERE project_id = {project:String} AND %s)
GROUP BY session_id
HAVING (last_task_at_ms, session_id) < ({place_ms:Int64}, {place_id:String})
ORDER BY last_task_at_ms DESC, session_id DESC
LIMIT {limit:UInt32}
"""
_ROWS = """
SELECT
    session_id, count() AS session_length,
    toUnixTimestamp64Milli(min(created_at)) AS first_task_at_ms,
    toUnixTimestamp64Milli(max(created_at)) AS last_task_at_ms,
    argMin(leftUTF8(input, {characters:UInt32}), (created_at, revision, task_id)) AS first_input,
    argMin(leftUTF8(output, {characters:UInt32}), (created_at, revision, task_id)) AS first_output
FROM task_rows FINAL
WHERE project_id = {project:String} AND session_id IN {sessions:Array(String)}
GROUP BY session_id
"""
_FLAGS = """
SELECT session_id, countIf(flag = 'success') AS successes, countIf(flag = 'failure') AS failures
FROM tasks
WHERE project_id = {project:String} AND session_id IN {sessions:Array(String)}
GROUP BY session_id
"""
_FINDINGS = """
SELECT
    session_id,
    sumMapIf([toString(language)], [1], language != '') AS languages,
    sumMapIf([toString(sentiment)], [1], sentiment != '') AS sentiments,
    -- As the view sessions has it: a sum of integers is the same in any order of the rows.
    avg(toInt32(round(analysis_rows.sentiment_score * 10000))) / 10000 AS mean_sentiment
FROM analysis_rows FINAL
WHERE project_id = {project:String} AND session_id IN {sessions:Array(String)}
GROUP BY session_id
"""
_EVENTS = EVENTS % "session_id IN {sessions:Array(String)}" + "LIMIT {events:UInt32} BY session_id"


@dataclass(frozen=True)
class StoredSession:
    """One session as it follows from its tasks. `events` are the first EVENTS_OF_A_SESSION of them."""

    project_id: str
    row: Row
    flags: Row
    findings: Row
    events: list[Row]


@dataclass(frozen=True)
class SessionPage:
    """Some sessions, and where the next ones begin."""

    sessions: list[StoredSession]
    next_cursor: str | None


class SessionReads:
    """Reads sessions of one project at a time. Blocking."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def one(self, project_id: str, session_id: str) -> StoredSession | None:
        """Return a session, or None where no task names it."""
        return self.named(project_id, [session_id]).get(session_id)

    def named(self, project_id: str, session_ids: Iterable[str]) -> dict[str, StoredSession]:
        """Return the sessions of these ids that there are, by id."""
        return {name: session for chunk in chunks(session_ids) for name, session in self._read(project_id, chunk)}

    def newest(self, project_id: str, chosen: Condition, after: tuple[int, str] | None, limit: int) -> SessionPage:
        """Return the sessions of which `chosen` lets a task through, the one with the latest task first."""
        place = after or _END_OF_TIME
        parameters = chosen.parameters | {"project": project_id, "place_ms": place[0], "place_id": place[1]}
        found = self._store.rows(_NEWEST % chosen.sql + LIMITS, parameters | {"limit": limit + 1})
        shown = found[:limit]
        stored = self.named(project_id, [row["session_id"] for row in shown])
        last = shown[-1] if len(found) > limit else None
        cursor = encoded_cursor(last["last_task_at_ms"], last["session_id"]) if last else None
        return SessionPage([stored[row["session_id"]] for row in shown if row["session_id"] in stored], cursor)

    def _read(self, project_id: str, session_ids: list[str]) -> Iterable[tuple[str, StoredSession]]:
        parameters: dict[str, Any] = {"project": project_id, "sessions": session_ids}
        parameters |= {"characters": PREVIEW_CHARACTERS, "events": EVENTS_OF_A_SESSION}
        flags, findings = self._by_session(_FLAGS, parameters), self._by_session(_FINDINGS, parameters)
        events: dict[str, list[Row]] = {}
        for event in self._store.rows(_EVENTS + LIMITS, parameters):
            events.setdefault(event["session_id"], []).append(event)
        for name, row in self._by_session(_ROWS, parameters).items():
            yield (
                name,
                StoredSession(project_id, row, flags.get(name, {}), findings.get(name, {}), events.get(name, [])),
            )

    def _by_session(self, sql: str, parameters: Row) -> dict[str, Row]:
        return {row["session_id"]: row for row in self._store.rows(sql + LIMITS, parameters)}
