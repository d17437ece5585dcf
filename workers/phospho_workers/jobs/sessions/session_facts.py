"""What the jobs of sessions have in common of what they ask ClickHouse: times, texts, and what was found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from phospho_schemas.ids import revision_ms
from phospho_schemas.messages import SCHEMA_VERSION
from phospho_store.store import Store
from phospho_workers.detection.text.sides import SIDES
from phospho_workers.jobs.loop.seen_cache import OVERLAP_MS
from phospho_workers.jobs.sessions.long_texts import with_ends
from phospho_workers.jobs.sessions.session_states import SessionStates
from phospho_workers.jobs.sessions.turns import TurnReader

# Of a session its last tasks are read, of a task the beginning and the end of each side.
MAX_TASKS = 200
_KEPT_CHARACTERS = 2_000

_ARRIVED = "inserted_at >= fromUnixTimestamp64Milli({arrived:Int64})"

# max(inserted_at) and max(created_at) of what is new, by the minmax index on inserted_at.
_MOMENTS = f"""
SELECT toUnixTimestamp64Milli(now64(3, 'UTC')) AS now_ms, count() AS tasks,
    toUnixTimestamp64Milli(max(created_at)) AS created_ms, toUnixTimestamp64Milli(max(inserted_at)) AS arrived_ms
FROM task_rows WHERE project_id = {{project:String}} AND {_ARRIVED}
"""

# From where the last of these inserts ended, as far as `arrived` goes back.
_REMEMBER = f"""
INSERT INTO session_task_rows (project_id, task_id, session_id, created_at)
WITH
    greatest(
        fromUnixTimestamp64Milli({{arrived:Int64}}),
        (SELECT max(inserted_at) FROM session_task_rows WHERE project_id = {{project:String}})
            - toIntervalMillisecond({OVERLAP_MS})
    ) AS since
SELECT project_id, task_id, session_id, max(task_rows.created_at) FROM task_rows
WHERE project_id = {{project:String}} AND inserted_at >= since AND (task_id, session_id) NOT IN
    (SELECT task_id, session_id FROM session_task_rows WHERE project_id = {{project:String}} AND inserted_at >= since)
GROUP BY project_id, task_id, session_id
"""

_KNOWN = """
SELECT * EXCEPT (inserted_at, created_at), formatDateTime(created_at, '%Y-%m-%dT%H:%i:%S.%fZ') AS created_at
FROM session_analysis_rows FINAL
WHERE project_id = {project:String} AND session_id IN {sessions:Array(String)} AND turn IN {turns:Array(String)}
"""


class Read(NamedTuple):
    """What of a session is read, and as it was: a turn by its task's id, or all of it where that is empty."""

    turn: str
    state: int
    revision: int


class Moments(NamedTuple):
    """ClickHouse's clock, and the greatest times of the tasks that arrived since; 0 where none did. Milliseconds."""

    now_ms: int
    created_ms: int
    arrived_ms: int

    def told_until_ms(self, idle_ms: int) -> int:
        """
        Return the time up to which a project's events have been told.

        It is that of its latest task, but never the future; and the clock's, once nothing has arrived for as long as
        a session may be idle: the last session of a quiet project is over as well.
        """
        if self.now_ms - self.arrived_ms >= idle_ms:
            return self.now_ms
        return min(self.created_ms, self.now_ms)


class SessionFacts:
    """
    Reads of sessions, and the writes of what is found in them. Blocking; raises what the store raises.

    `ends` has the questions of whole sessions, `turns` those of turns.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.ends = SessionStates(store)
        self.turns = TurnReader(store)

    def moments(self, project_id: str, arrived_since_ms: int) -> Moments:
        """Return the greatest times of the tasks of a project that arrived since."""
        [row] = self._store.rows(_MOMENTS, {"project": project_id, "arrived": arrived_since_ms})
        return Moments(row["now_ms"], row["created_ms"] * bool(row["tasks"]), row["arrived_ms"] * bool(row["tasks"]))

    def born_ms(self, project_id: str, names: Sequence[str]) -> int:
        """Return when the oldest of these definitions was made, whatever was made of it since. Milliseconds."""
        [row] = self._store.rows(
            "SELECT min(revision) AS revision FROM definition_rows"
            " WHERE project_id = {project:String} AND name IN {names:Array(String)}",
            {"project": project_id, "names": list(names)},
        )
        return revision_ms(int(row["revision"]))

    def remember(self, project_id: str, arrived_since_ms: int) -> None:
        """Store which sessions the tasks that arrived since are of: that is how one that they leave is known."""
        self._store.command(_REMEMBER, {"project": project_id, "arrived": arrived_since_ms})

    def transcripts(self, project_id: str, session_ids: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
        """Return the last tasks of these sessions, in their order, with shortened texts."""
        rows = self._tasks(
            "session_id IN {sessions:Array(String)}",
            f"ORDER BY t.created_at DESC, t.task_id DESC LIMIT {MAX_TASKS} BY t.session_id",
            {"project": project_id, "sessions": list(session_ids)},
        )
        sessions: dict[str, list[dict[str, Any]]] = {}
        for row in reversed(rows):
            sessions.setdefault(row["session_id"], []).append(row)
        return sessions

    def tasks(self, project_id: str, task_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return these tasks by id, with shortened texts."""
        rows = self._tasks("task_id IN {tasks:Array(String)}", "", {"project": project_id, "tasks": list(task_ids)})
        return {row["task_id"]: row for row in rows}

    def sessions_of(self, project_id: str, task_ids: Sequence[str]) -> list[str]:
        """Return the sessions that these tasks are of, in the order of their ids."""
        rows = self._store.rows(
            "SELECT DISTINCT session_id FROM task_rows FINAL WHERE project_id = {project:String}"
            " AND task_id IN {tasks:Array(String)} ORDER BY session_id",
            {"project": project_id, "tasks": list(task_ids)},
        )
        return [row["session_id"] for row in rows]

    def known(
        self, project_id: str, session_ids: Sequence[str], turns: Sequence[str]
    ) -> dict[tuple[str, str, int], dict[str, Any]]:
        """Return the SessionAnalysisRows of these sessions and turns, by session, turn and state."""
        parameters = {"project": project_id, "sessions": list(session_ids), "turns": list(turns)}
        return {(row["session_id"], row["turn"], row["state"]): row for row in self._store.rows(_KNOWN, parameters)}

    def save(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Store SessionAnalysisRows."""
        if rows:
            self._store.insert("session_analysis_rows", b"\n".join(orjson.dumps(row) for row in rows))

    def _tasks(self, condition: str, order: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        texts = with_ends(SIDES, _KEPT_CHARACTERS)
        return self._store.rows(
            "SELECT t.project_id AS project_id, t.session_id AS session_id, t.task_id AS task_id,"
            f" t.revision AS revision, {texts}, t.user_id AS user_id, t.version_id AS version_id,"
            " formatDateTime(t.created_at, '%Y-%m-%dT%H:%i:%S.%fZ') AS created_at"
            " FROM (SELECT * FROM task_rows FINAL WHERE project_id = {project:String} AND "
            f"{condition}) AS t {order}",
            parameters,
        )


def session_row(
    tasks: Sequence[Mapping[str, Any]],
    read: Read,
    definitions_revision: int,
    events: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Return the SessionAnalysisRow of `tasks` that were read, the last of which the events stand at."""
    last = tasks[-1]
    return {
        "schema_version": SCHEMA_VERSION,
        "project_id": last["project_id"],
        "session_id": last["session_id"],
        "turn": read.turn,
        "state": read.state,
        "revision": read.revision,
        "definitions_revision": definitions_revision,
        "task_id": last["task_id"],
        "tasks": len(tasks),
        "user_id": last["user_id"],
        "version_id": last["version_id"],
        "created_at": last["created_at"],
        "events": list(events),
    }
