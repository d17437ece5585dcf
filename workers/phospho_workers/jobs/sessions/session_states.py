"""Sessions that may be over: their state, and whether they were read in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from phospho_store.sql import compose
from phospho_store.sql.sessions import SESSION_STATE, task_state
from phospho_store.store import Store

ARRIVED = "inserted_at >= fromUnixTimestamp64Milli({arrived:Int64})"

# Sessions that a task left: it arrived in another one than those that held it before.
LEFT = compose(
    """
SELECT held.session_id AS session_id, $left_state AS seen
FROM
(
    SELECT session_id, task_id FROM session_task_rows WHERE project_id = {project:String}
        AND task_id IN (SELECT task_id FROM task_rows WHERE project_id = {project:String} AND $arrived)
) AS held
INNER JOIN
(
    SELECT task_id, max(task_rows.revision) AS greatest, argMax(session_id, task_rows.revision) AS session_id
    FROM task_rows WHERE project_id = {project:String} AND $arrived GROUP BY task_id
) AS task ON held.task_id = task.task_id
WHERE held.session_id != task.session_id
""",
    arrived=ARRIVED,
    left_state=task_state("task.task_id", "task.greatest"),
)

# One SELECT for each index that prunes. What was seen of a session is a sum of hashes: it is another one once there is
# something else to see, also where a task has come with a smaller revision than the others have. A replay stores rows
# again and gives them no other revision, by whose milliseconds they are new or history.
_CHANGED = """
SELECT session_id, sum(hash) AS seen FROM
(
    SELECT session_id, sum($task_state) AS hash, max(created_at) AS last FROM task_rows
    WHERE project_id = {project:String} AND $arrived AND bitShiftRight(task_rows.revision, 16) >= {born:Int64}
    GROUP BY session_id HAVING last <= fromUnixTimestamp64Milli({idle_to:Int64})
    UNION ALL
    SELECT session_id, sum($task_state) AS hash, max(created_at) AS last FROM task_rows
    WHERE project_id = {project:String} AND created_at > fromUnixTimestamp64Milli({idle_from:Int64})
        AND created_at <= fromUnixTimestamp64Milli({idle_to:Int64})
    GROUP BY session_id
    UNION ALL
    SELECT session_id, sipHash64(session_close_rows.revision) AS hash, created_at AS last FROM session_close_rows
    WHERE project_id = {project:String} AND $arrived $also_left
)
WHERE session_id > {after:String} $unless GROUP BY session_id ORDER BY session_id LIMIT {limit:UInt32}
"""
_PRESENT_STATE_IS_KNOWN = """
SELECT session_id FROM
(
    SELECT session_id, $session_state AS state FROM task_rows FINAL
    WHERE project_id = {project:String} AND session_id > {after:String} AND session_id IN
        (SELECT session_id FROM session_analysis_rows WHERE project_id = {project:String} AND turn = '')
    GROUP BY session_id
)
WHERE (session_id, state) IN
    (SELECT session_id, state FROM session_analysis_rows WHERE project_id = {project:String} AND turn = '')
"""
_ALL_CHANGED = compose(
    _CHANGED,
    task_state=task_state(),
    arrived=ARRIVED,
    also_left=f"UNION ALL SELECT session_id, seen AS hash, fromUnixTimestamp64Milli(0) AS last FROM ({LEFT})",
    unless="",
)
# Of all that happened since a definition was made, what a job that starts has to look at.
_NOT_FOUND = compose(
    _CHANGED,
    task_state=task_state(),
    arrived=ARRIVED,
    also_left="",
    unless=f"AND session_id NOT IN ({compose(_PRESENT_STATE_IS_KNOWN, session_state=SESSION_STATE)})",
)

_STATES = compose(
    """
SELECT task.session_id AS session_id, task.state AS state, task.greatest AS revision, task.last_ms AS last_ms,
    task.last_task_id AS last_task_id, closed.revision AS closed_revision, analysis.session_id != '' AS is_found
FROM
(
    SELECT session_id, $session_state AS state,
        max(task_rows.revision) AS greatest, toUnixTimestamp64Milli(max(created_at)) AS last_ms,
        argMax(task_id, (created_at, task_id)) AS last_task_id
    FROM task_rows FINAL
    WHERE project_id = {project:String} AND session_id IN {sessions:Array(String)} GROUP BY session_id
) AS task
LEFT ANY JOIN
(
    SELECT session_id, revision FROM session_close_rows FINAL
    WHERE project_id = {project:String} AND session_id IN {sessions:Array(String)}
) AS closed ON task.session_id = closed.session_id
LEFT ANY JOIN
(
    SELECT session_id, state FROM session_analysis_rows
    WHERE project_id = {project:String} AND session_id IN {sessions:Array(String)} AND turn = ''
) AS analysis ON task.session_id = analysis.session_id AND task.state = analysis.state
""",
    session_state=SESSION_STATE,
)


@dataclass(frozen=True)
class SessionState:
    """A session in its present state, and whether it was read in it. `revision` is the greatest of its tasks."""

    session_id: str
    state: int
    revision: int
    last_ms: int
    last_task_id: str
    closed_revision: int
    is_found: bool

    def is_over(self, idle_to_ms: int) -> bool:
        """Tell whether the session was idle for long enough, or closed in this state."""
        return self.last_ms <= idle_to_ms or self.closed_revision >= self.revision


@dataclass(frozen=True)
class Window:
    """
    The sessions that one round reads. Times are Unix milliseconds.

    These are sessions that got or lost a task or were closed since `arrived_since_ms`, and sessions of which a task
    became idle between two times. Tasks logged before `defined_at_ms` are history, whenever they arrived. `after` is
    the last session of the page before. `is_first` leaves out the sessions that were read in their present state.
    """

    arrived_since_ms: int
    idle_from_ms: int
    idle_to_ms: int
    is_first: bool = False
    defined_at_ms: int = 0
    after: str = ""


class SessionStates:
    """Reads of sessions that may be over. Blocking; raises what the store raises."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def changed(self, project_id: str, window: Window, limit: int) -> dict[str, int]:
        """Return sessions that may be over, by id, each with a hash of its changes."""
        rows = self._store.rows(
            _NOT_FOUND if window.is_first else _ALL_CHANGED,
            {
                "project": project_id,
                "arrived": window.arrived_since_ms,
                "idle_from": window.idle_from_ms,
                "idle_to": window.idle_to_ms,
                "born": window.defined_at_ms,
                "after": window.after,
                "limit": limit,
            },
        )
        return {row["session_id"]: row["seen"] for row in rows}

    def states(self, project_id: str, session_ids: Sequence[str]) -> list[SessionState]:
        """Return these sessions in their present state."""
        rows = self._store.rows(_STATES, {"project": project_id, "sessions": list(session_ids)})
        return [SessionState(**(row | {"is_found": bool(row["is_found"])})) for row in rows]
