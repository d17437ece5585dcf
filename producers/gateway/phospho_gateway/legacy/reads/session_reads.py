"""Queries of sessions: by their ids, or as a page of a project. A session follows from its tasks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from phospho_gateway.legacy.endpoints import PageRequest
from phospho_gateway.legacy.reads.filters import Condition
from phospho_gateway.legacy.reads.task_reads import LIMITS, Row, events_sql
from phospho_gateway.read_store import chunks
from phospho_store.sql import compose
from phospho_store.store import Store
from phospho_web.cursors import encoded_cursor

EVENTS_OF_A_SESSION = 50
PREVIEW_CHARACTERS = 200
_END_OF_TIME = (2**62, "")

_NEWEST = """
SELECT session_id, toUnixTimestamp64Milli(max(created_at)) AS last_task_at_ms
FROM task_rows FINAL
WHERE project_id = {project:String}
    AND session_id IN (SELECT session_id FROM task_rows FINAL WHERE project_id = {project:String} AND $condition)
GROUP BY session_id
HAVING (last_task_at_ms, session_id) < ({after_ms:Int64}, {after:String})
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
_STATISTICS = """
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
_EVENTS = events_sql("session_id IN {sessions:Array(String)}") + "LIMIT {events:UInt32} BY session_id"


@dataclass(frozen=True)
class StoredSession:
    """A session as it follows from its tasks. `events` are the first EVENTS_OF_A_SESSION."""

    project_id: str
    row: Row
    flags: Row
    statistics: Row
    events: list[Row]


@dataclass(frozen=True)
class SessionPage:
    """Sessions in their order, and the cursor of the next page."""

    sessions: list[StoredSession]
    next_cursor: str | None


class SessionReads:
    """Reads sessions of one project at a time. Blocking."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def session(self, project_id: str, session_id: str) -> StoredSession | None:
        """Return a session, or None if no task names it."""
        return self.sessions(project_id, [session_id]).get(session_id)

    def sessions(self, project_id: str, session_ids: Iterable[str]) -> dict[str, StoredSession]:
        """Return the sessions of these ids that exist, by id."""
        return {
            session.row["session_id"]: session
            for chunk in chunks(session_ids)
            for session in self._read(project_id, chunk)
        }

    def newest(self, project_id: str, page: PageRequest, condition: Condition) -> SessionPage:
        """Return a page of the sessions with a task that meets `condition`, the one with the latest task first."""
        after_ms, after = page.after or _END_OF_TIME
        parameters = condition.parameters | {"project": project_id, "after_ms": after_ms, "after": after}
        sql = compose(_NEWEST, condition=condition.sql) + LIMITS
        keys = self._store.rows(sql, parameters | {"limit": page.limit + 1})
        shown = keys[: page.limit]
        sessions = self.sessions(project_id, [row["session_id"] for row in shown])
        last = shown[-1] if len(keys) > page.limit else None
        cursor = encoded_cursor(last["last_task_at_ms"], last["session_id"]) if last else None
        return SessionPage([sessions[row["session_id"]] for row in shown if row["session_id"] in sessions], cursor)

    def _read(self, project_id: str, session_ids: list[str]) -> Iterable[StoredSession]:
        parameters: dict[str, Any] = {"project": project_id, "sessions": session_ids}
        parameters |= {"characters": PREVIEW_CHARACTERS, "events": EVENTS_OF_A_SESSION}
        flags, statistics = self._by_session(_FLAGS, parameters), self._by_session(_STATISTICS, parameters)
        events: dict[str, list[Row]] = {}
        for event in self._store.rows(_EVENTS + LIMITS, parameters):
            events.setdefault(event["session_id"], []).append(event)
        for session_id, row in self._by_session(_ROWS, parameters).items():
            yield StoredSession(
                project_id,
                row,
                flags=flags.get(session_id, {}),
                statistics=statistics.get(session_id, {}),
                events=events.get(session_id, []),
            )

    def _by_session(self, sql: str, parameters: Row) -> dict[str, Row]:
        return {row["session_id"]: row for row in self._store.rows(sql + LIMITS, parameters)}
