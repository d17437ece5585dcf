"""All reads and writes of sessions, on one store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from phospho_store.sql import compose
from phospho_store.store import Store
from phospho_workers.detection.text.sides import SIDES
from phospho_workers.jobs.sessions.arrivals import Arrivals
from phospho_workers.jobs.sessions.session_analyses import SessionAnalyses
from phospho_workers.jobs.sessions.session_states import SessionStates
from phospho_workers.jobs.sessions.turns import TurnReader
from phospho_workers.jobs.stored_tasks import shortened

# The last tasks of a session are read, and the beginning and the end of each side of a task.
MAX_TASKS = 200
_KEPT_CHARACTERS = 2_000

_TASKS = """
SELECT t.project_id AS project_id, t.session_id AS session_id, t.task_id AS task_id, t.revision AS revision,
    $texts, t.user_id AS user_id, t.version_id AS version_id,
    formatDateTime(t.created_at, '%Y-%m-%dT%H:%i:%S.%fZ') AS created_at
FROM (SELECT * FROM task_rows FINAL WHERE project_id = {project:String} AND $condition) AS t $order
"""
# Parameters: project, sessions.
_TASKS_OF_SESSIONS = compose(
    _TASKS,
    texts=shortened(SIDES, _KEPT_CHARACTERS),
    condition="session_id IN {sessions:Array(String)}",
    order=f"ORDER BY t.created_at DESC, t.task_id DESC LIMIT {MAX_TASKS} BY t.session_id",
)
# Parameters: project, tasks.
_TASKS_BY_ID = compose(
    _TASKS, texts=shortened(SIDES, _KEPT_CHARACTERS), condition="task_id IN {tasks:Array(String)}", order=""
)
# Parameters: project, tasks.
_SESSION_IDS = """
SELECT DISTINCT session_id FROM task_rows FINAL
WHERE project_id = {project:String} AND task_id IN {tasks:Array(String)} ORDER BY session_id
"""


class SessionFacts:
    """
    Reads of sessions for session jobs, backfills and training, and the store of their findings.

    `arrivals` has the times of new tasks, `tasks` their texts, `states` the sessions that may be over, `turns` the
    turns to read, and `analyses` the findings.
    """

    def __init__(self, store: Store) -> None:
        self.arrivals = Arrivals(store)
        self.tasks = SessionTasks(store)
        self.states = SessionStates(store)
        self.turns = TurnReader(store)
        self.analyses = SessionAnalyses(store)


class SessionTasks:
    """Reads of tasks by session. Blocking; raises what the store raises."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def of_sessions(self, project_id: str, session_ids: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
        """Return the last tasks of these sessions, in their order, by session."""
        rows = self._store.rows(_TASKS_OF_SESSIONS, {"project": project_id, "sessions": list(session_ids)})
        sessions: dict[str, list[dict[str, Any]]] = {}
        for row in reversed(rows):
            sessions.setdefault(row["session_id"], []).append(row)
        return sessions

    def by_id(self, project_id: str, task_ids: Sequence[str]) -> Mapping[str, dict[str, Any]]:
        """Return these tasks by id."""
        rows = self._store.rows(_TASKS_BY_ID, {"project": project_id, "tasks": list(task_ids)})
        return {row["task_id"]: row for row in rows}

    def session_ids(self, project_id: str, task_ids: Sequence[str]) -> list[str]:
        """Return the sessions that these tasks are in, in the order of their ids."""
        rows = self._store.rows(_SESSION_IDS, {"project": project_id, "tasks": list(task_ids)})
        return [row["session_id"] for row in rows]
