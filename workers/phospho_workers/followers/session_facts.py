"""What the followers of sessions ask ClickHouse: each question of one project, bounded, of narrow columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from phospho_schemas.ids import revision_ms
from phospho_schemas.messages import SCHEMA_VERSION
from phospho_store.store import Store

# Of a session its last tasks are read, of a task the beginning and the end of each side.
MAX_TASKS = 200
MAX_TURNS = 2_000
_KEPT_CHARACTERS = 2_000

_ARRIVED = "inserted_at >= fromUnixTimestamp64Milli({arrived:Int64})"

# max(inserted_at) and max(created_at) of what is new, by the minmax index on inserted_at.
_MOMENTS = f"""
SELECT toUnixTimestamp64Milli(now64(3, 'UTC')) AS now_ms, count() AS tasks,
    toUnixTimestamp64Milli(max(created_at)) AS created_ms, toUnixTimestamp64Milli(max(inserted_at)) AS arrived_ms
FROM task_rows WHERE project_id = {{project:String}} AND {_ARRIVED}
"""

# One SELECT for each index that prunes.
_CHANGED = f"""
SELECT session_id, max(greatest) AS revision FROM
(
    SELECT session_id, max(task_rows.revision) AS greatest, max(created_at) AS last FROM task_rows
    WHERE project_id = {{project:String}} AND {_ARRIVED}
    GROUP BY session_id HAVING last <= fromUnixTimestamp64Milli({{idle_to:Int64}})
    UNION ALL
    SELECT session_id, max(task_rows.revision) AS greatest, max(created_at) AS last FROM task_rows
    WHERE project_id = {{project:String}} AND created_at > fromUnixTimestamp64Milli({{idle_from:Int64}})
        AND created_at <= fromUnixTimestamp64Milli({{idle_to:Int64}})
    GROUP BY session_id
    UNION ALL
    SELECT session_id, session_close_rows.revision AS greatest, created_at AS last FROM session_close_rows
    WHERE project_id = {{project:String}} AND {_ARRIVED}
)
WHERE session_id > {{after:String}} %s GROUP BY session_id ORDER BY session_id LIMIT {{limit:UInt32}}
"""
_ALL_CHANGED = _CHANGED % ""
# Of all that happened since a definition was made, what a follower that starts has to look at.
_NOT_FOUND = _CHANGED % (
    "AND (session_id, greatest) NOT IN (SELECT session_id, revision FROM session_analysis_rows FINAL"
    " WHERE project_id = {project:String} AND turn = '')"
)

_ARRIVED_SESSIONS = f"""
SELECT t.session_id AS session_id, max(t.revision) AS revision
FROM (SELECT session_id, task_id, revision FROM task_rows WHERE project_id = {{project:String}} AND {_ARRIVED}) AS t %s
WHERE t.session_id > {{after:String}} %s GROUP BY session_id ORDER BY session_id LIMIT {{limit:UInt32}}
"""
_ALL_ARRIVED = _ARRIVED_SESSIONS % ("", "")
_ARRIVED_NOT_FOUND = _ARRIVED_SESSIONS % (
    "LEFT ANY JOIN (SELECT session_id, turn, revision FROM session_analysis_rows FINAL"
    " WHERE project_id = {project:String} AND turn != '') AS a ON t.session_id = a.session_id AND t.task_id = a.turn",
    "AND a.revision < t.revision",
)

_STATES = """
SELECT t.session_id AS session_id, t.revision AS revision, t.last_ms AS last_ms,
    t.last_task_id AS last_task_id, t.arrived_ms AS arrived_ms, c.revision AS closed_revision,
    a.revision AS found_revision, a.session_id != '' AS is_found
FROM
(
    SELECT session_id, max(task_rows.revision) AS revision, toUnixTimestamp64Milli(max(created_at)) AS last_ms,
        argMax(task_id, (created_at, task_id)) AS last_task_id, toUnixTimestamp64Milli(max(inserted_at)) AS arrived_ms
    FROM task_rows FINAL
    WHERE project_id = {project:String} AND session_id IN {sessions:Array(String)} GROUP BY session_id
) AS t
LEFT ANY JOIN
(
    SELECT session_id, revision FROM session_close_rows FINAL
    WHERE project_id = {project:String} AND session_id IN {sessions:Array(String)}
) AS c ON t.session_id = c.session_id
LEFT ANY JOIN
(
    SELECT session_id, revision FROM session_analysis_rows FINAL
    WHERE project_id = {project:String} AND session_id IN {sessions:Array(String)} AND turn = ''
) AS a ON t.session_id = a.session_id
"""

_TURNS = """
SELECT t.session_id AS session_id, t.task_id AS task_id, t.revision AS revision, t.arrived_ms AS arrived_ms,
    a.revision AS found_revision, a.turn != '' AS is_found
FROM
(
    SELECT session_id, task_id, revision, created_at, toUnixTimestamp64Milli(inserted_at) AS arrived_ms
    FROM task_rows FINAL
    WHERE project_id = {project:String} AND session_id IN {sessions:Array(String)}
    ORDER BY created_at DESC, task_id DESC LIMIT {limit:UInt32} BY session_id
) AS t
LEFT ANY JOIN
(
    SELECT session_id, turn, revision FROM session_analysis_rows FINAL
    WHERE project_id = {project:String} AND session_id IN {sessions:Array(String)} AND turn != ''
) AS a ON t.session_id = a.session_id AND t.task_id = a.turn
ORDER BY t.created_at, t.task_id
"""


_KNOWN = """
SELECT * EXCEPT (inserted_at, created_at), formatDateTime(created_at, '%Y-%m-%dT%H:%i:%S.%fZ') AS created_at
FROM session_analysis_rows FINAL
WHERE project_id = {project:String} AND session_id IN {sessions:Array(String)} AND turn IN {turns:Array(String)}
"""


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


@dataclass(frozen=True)
class SessionState:
    """A session as it is, and of which revision what was found in it is: -1 where nothing was looked for yet."""

    session_id: str
    revision: int
    last_ms: int
    last_task_id: str
    arrived_ms: int
    closed_revision: int
    found_revision: int

    def is_over(self, idle_to_ms: int) -> bool:
        """Tell whether the session was idle for long enough, or closed as it is."""
        return self.last_ms <= idle_to_ms or self.closed_revision >= self.revision


@dataclass(frozen=True)
class Turn:
    """A task in its session, without its texts."""

    task_id: str
    revision: int
    arrived_ms: int
    found_revision: int


@dataclass(frozen=True)
class Window:
    """
    What one pass over a project's sessions looks at, in milliseconds.

    Sessions of which a task arrived, or which were closed, since one time; and those of which a task became idle
    between two. `after` is the last session of the page before. `is_first` leaves out what was found already.
    """

    arrived_since_ms: int
    idle_from_ms: int
    idle_to_ms: int
    is_first: bool = False
    after: str = ""


class SessionFacts:
    """Reads of sessions, and the writes of what is found in them. Blocking; raises what the store raises."""

    def __init__(self, store: Store) -> None:
        self._store = store

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

    def changed(self, project_id: str, window: Window, limit: int) -> dict[str, int]:
        """Return sessions that may have become over, by id, with the greatest revision that was seen of each."""
        rows = self._store.rows(
            _NOT_FOUND if window.is_first else _ALL_CHANGED,
            {
                "project": project_id,
                "arrived": window.arrived_since_ms,
                "idle_from": window.idle_from_ms,
                "idle_to": window.idle_to_ms,
                "after": window.after,
                "limit": limit,
            },
        )
        return {row["session_id"]: row["revision"] for row in rows}

    def arrived(
        self, project_id: str, arrived_since_ms: int, after: str, limit: int, *, is_first: bool
    ) -> dict[str, int]:
        """
        Return sessions of which a task arrived since, by id, with the greatest revision of those that did.

        `is_first` leaves out those whose arrivals were all looked at, as turns, already.
        """
        rows = self._store.rows(
            _ARRIVED_NOT_FOUND if is_first else _ALL_ARRIVED,
            {"project": project_id, "arrived": arrived_since_ms, "after": after, "limit": limit},
        )
        return {row["session_id"]: row["revision"] for row in rows}

    def states(self, project_id: str, session_ids: Sequence[str]) -> list[SessionState]:
        """Return these sessions as they are."""
        rows = self._store.rows(_STATES, {"project": project_id, "sessions": list(session_ids)})
        return [
            SessionState(
                row["session_id"],
                row["revision"],
                row["last_ms"],
                row["last_task_id"],
                row["arrived_ms"],
                row["closed_revision"],
                row["found_revision"] if row["is_found"] else -1,
            )
            for row in rows
        ]

    def turns(self, project_id: str, session_ids: Sequence[str]) -> dict[str, list[Turn]]:
        """Return the last turns of these sessions, in their order."""
        parameters = {"project": project_id, "sessions": list(session_ids), "limit": MAX_TURNS}
        turns: dict[str, list[Turn]] = {}
        for row in self._store.rows(_TURNS, parameters):
            found = row["found_revision"] if row["is_found"] else -1
            turn = Turn(row["task_id"], row["revision"], row["arrived_ms"], found)
            turns.setdefault(row["session_id"], []).append(turn)
        return turns

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
    ) -> dict[tuple[str, str], dict[str, Any]]:
        """Return the SessionAnalysisRows of these sessions and turns, by session and turn."""
        parameters = {"project": project_id, "sessions": list(session_ids), "turns": list(turns)}
        return {(row["session_id"], row["turn"]): row for row in self._store.rows(_KNOWN, parameters)}

    def save(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Store SessionAnalysisRows."""
        if rows:
            self._store.insert("session_analysis_rows", b"\n".join(orjson.dumps(row) for row in rows))

    def _tasks(self, condition: str, order: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        texts = ", ".join(f"{_bounded(column)} AS {column}" for column in ("input", "output", "system_prompt"))
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
    turn: str,
    revision: int,
    definitions_revision: int,
    events: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Return the SessionAnalysisRow of `tasks` that were read, the last of which the events stand at."""
    last = tasks[-1]
    return {
        "schema_version": SCHEMA_VERSION,
        "project_id": last["project_id"],
        "session_id": last["session_id"],
        "turn": turn,
        "revision": revision,
        "definitions_revision": definitions_revision,
        "task_id": last["task_id"],
        "tasks": len(tasks),
        "user_id": last["user_id"],
        "version_id": last["version_id"],
        "created_at": last["created_at"],
        "events": list(events),
    }


def _bounded(column: str) -> str:
    text = f"t.{column}"
    ends = f"concat(leftUTF8({text}, {_KEPT_CHARACTERS}), '\\n', rightUTF8({text}, {_KEPT_CHARACTERS}))"
    return f"if(lengthUTF8({text}) > {2 * _KEPT_CHARACTERS}, {ends}, {text})"
