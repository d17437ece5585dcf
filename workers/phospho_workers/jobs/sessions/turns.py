"""Turns, the tasks that are read with each, and whether they were read in their present state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from phospho_store.sql import compose
from phospho_store.sql.sessions import TURN_STATE, task_state, turn_window
from phospho_store.store import Store
from phospho_workers.jobs.sessions.session_states import ARRIVED, LEFT

_ARRIVED_SESSIONS = compose(
    """
SELECT session_id, sum(seen) AS seen FROM
(
    SELECT session_id, $task_state AS seen FROM task_rows
    WHERE project_id = {project:String} AND $arrived
    UNION ALL $left
)
WHERE session_id > {after:String} GROUP BY session_id ORDER BY session_id LIMIT {limit:UInt32}
""",
    task_state=task_state(),
    arrived=ARRIVED,
    left=LEFT,
)
_NOT_FOUND = compose(
    """
SELECT session_id, sum(sipHash64(task_id, state)) AS seen FROM
(
    SELECT session_id, task_id, inserted_at, $turn_state AS state FROM task_rows FINAL
    WHERE project_id = {project:String} AND session_id > {after:String}
        AND session_id IN (SELECT session_id FROM task_rows WHERE project_id = {project:String} AND $arrived)
)
WHERE $arrived AND (session_id, task_id, state) NOT IN
    (SELECT session_id, turn, state FROM session_analysis_rows WHERE project_id = {project:String} AND turn != '')
GROUP BY session_id ORDER BY session_id LIMIT {limit:UInt32}
""",
    turn_state=TURN_STATE,
    arrived=ARRIVED,
)

_TURNS = """
SELECT t.session_id AS session_id, t.task_ids AS task_ids, t.state AS state, t.greatest AS revision,
    t.created_ms AS created_ms
FROM
(
    SELECT session_id, task_id, $turn_state AS state, toUnixTimestamp64Milli(created_at) AS created_ms,
        groupArray(task_id) OVER ($window) AS task_ids, max(task_rows.revision) OVER ($window) AS greatest
    FROM task_rows FINAL
    WHERE project_id = {project:String} AND session_id IN {sessions:Array(String)}
) AS t $condition
ORDER BY session_id, created_ms, t.task_id LIMIT {limit:UInt32}
"""
_NOT_READ = """
LEFT ANY JOIN
(
    SELECT session_id, turn, groupUniqArray(state) AS states FROM session_analysis_rows
    WHERE project_id = {project:String} AND session_id IN {sessions:Array(String)} AND turn != ''
    GROUP BY session_id, turn
) AS a ON t.session_id = a.session_id AND t.task_id = a.turn
WHERE NOT has(a.states, t.state) AND (bitShiftRight(t.greatest, 16) >= {born:Int64} OR notEmpty(a.states))
    AND (t.session_id, t.created_ms, t.task_id) > ({session:String}, {created:Int64}, {task:String})
"""
_OF_TASKS = "WHERE t.task_id IN {tasks:Array(String)}"


@dataclass(frozen=True)
class Turn:
    """
    A turn without its texts: the ids of the tasks that are read, its own the last, and their greatest revision.

    `created_ms` is the time of the turn itself, in milliseconds.
    """

    session_id: str
    task_ids: Sequence[str]
    state: int
    revision: int
    created_ms: int

    @property
    def task_id(self) -> str:
        return self.task_ids[-1]


class TurnReader:
    """Reads of turns. Blocking; raises what the store raises."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def arrived(
        self, project_id: str, arrived_since_ms: int, after: str, limit: int, *, is_first: bool
    ) -> dict[str, int]:
        """
        Return the sessions that got or lost a task since, by id, each with a hash of its changes.

        `is_first` leaves out sessions of which all new turns were read already.
        """
        rows = self._store.rows(
            _NOT_FOUND if is_first else _ARRIVED_SESSIONS,
            {"project": project_id, "arrived": arrived_since_ms, "after": after, "limit": limit},
        )
        return {row["session_id"]: row["seen"] for row in rows}

    def due(
        self,
        project_id: str,
        session_ids: Sequence[str],
        *,
        context_turns: int,
        defined_at_ms: int,
        after: Turn | None,
        limit: int,
    ) -> list[Turn]:
        """
        Return the turns of these sessions that were not read in their present state, by session, in their order.

        Turns with no task logged since `defined_at_ms` are history, unless they were read before. `after` is the last
        turn of the page before.
        """
        position = {"session": "", "created": 0, "task": ""}
        if after is not None:
            position = {"session": after.session_id, "created": after.created_ms, "task": after.task_id}
        parameters = {
            "project": project_id,
            "sessions": list(session_ids),
            "born": defined_at_ms,
            "limit": limit,
        }
        return self._turns(_NOT_READ, context_turns, parameters | position)

    def of_tasks(
        self, project_id: str, session_ids: Sequence[str], context_turns: int, task_ids: Sequence[str]
    ) -> list[Turn]:
        """Return the turns of these tasks, which are of these sessions."""
        parameters = {"project": project_id, "sessions": list(session_ids), "tasks": list(task_ids)}
        return self._turns(_OF_TASKS, context_turns, parameters | {"limit": len(task_ids)})

    def _turns(self, condition: str, context_turns: int, parameters: Mapping[str, Any]) -> list[Turn]:
        sql = compose(_TURNS, turn_state=TURN_STATE, window=turn_window(context_turns), condition=condition)
        return [Turn(**row) for row in self._store.rows(sql, parameters)]
