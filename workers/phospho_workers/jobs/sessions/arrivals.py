"""The tasks of a project by the time of their arrival, and how far the time of its events has come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from phospho_schemas.ids import revision_ms
from phospho_store.sql import compose
from phospho_store.store import Store
from phospho_workers.jobs.loop.job import OVERLAP_MS

# Parameters: project, arrived. The minmax index on inserted_at finds the new rows.
_ARRIVALS = """
SELECT toUnixTimestamp64Milli(now64(3, 'UTC')) AS now_ms, count() AS tasks,
    toUnixTimestamp64Milli(max(created_at)) AS created_ms, toUnixTimestamp64Milli(max(inserted_at)) AS arrived_ms
FROM task_rows
WHERE project_id = {project:String} AND inserted_at >= fromUnixTimestamp64Milli({arrived:Int64})
"""

# Parameters: project, arrived.
_STORE_SESSIONS_OF_TASKS = """
INSERT INTO session_task_rows (project_id, task_id, session_id, created_at)
WITH $since AS since
SELECT project_id, task_id, session_id, max(task_rows.created_at) FROM task_rows
WHERE project_id = {project:String} AND inserted_at >= since AND (task_id, session_id) NOT IN
    (SELECT task_id, session_id FROM session_task_rows WHERE project_id = {project:String} AND inserted_at >= since)
GROUP BY project_id, task_id, session_id
"""
_SINCE = "fromUnixTimestamp64Milli({arrived:Int64})"
# From where the last process ended, which reads all that was stored: once.
_SINCE_LAST_STORED = compose(
    """greatest(
        $since,
        (SELECT max(inserted_at) FROM session_task_rows WHERE project_id = {project:String})
            - toIntervalMillisecond($overlap_ms)
    )""",
    since=_SINCE,
    overlap_ms=str(OVERLAP_MS),
)

# Parameters: project, names.
_FIRST_REVISION = """
SELECT min(revision) AS revision FROM definition_rows
WHERE project_id = {project:String} AND name IN {names:Array(String)}
"""


class ArrivalTimes(NamedTuple):
    """ClickHouse's clock, and the greatest times of the tasks that arrived; 0 where none did. Unix milliseconds."""

    now_ms: int
    created_ms: int
    arrived_ms: int

    def watermark_ms(self, idle_ms: int) -> int:
        """
        Return the time up to which a project's events have arrived.

        It is the time of the latest task, but never the future. Once nothing has arrived for as long as a session may
        be idle, it is the clock's: the last session of a quiet project ends as well.
        """
        if self.now_ms - self.arrived_ms >= idle_ms:
            return self.now_ms
        return min(self.created_ms, self.now_ms)


class Arrivals:
    """Reads of the times of new tasks. Blocking; raises what the store raises."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def times(self, project_id: str, since_ms: int) -> ArrivalTimes:
        """Return the greatest times of the tasks of a project that arrived since."""
        [row] = self._store.rows(_ARRIVALS, {"project": project_id, "arrived": since_ms})
        has_any = bool(row["tasks"])
        return ArrivalTimes(row["now_ms"], row["created_ms"] * has_any, row["arrived_ms"] * has_any)

    def store_sessions_of_tasks(self, project_id: str, since_ms: int, *, is_first: bool) -> None:
        """
        Store the sessions of the tasks that arrived since: so a session that a task leaves is known.

        `is_first` leaves out the tasks of which an earlier process has stored that.
        """
        sql = compose(_STORE_SESSIONS_OF_TASKS, since=_SINCE_LAST_STORED if is_first else _SINCE)
        self._store.command(sql, {"project": project_id, "arrived": since_ms})

    def defined_at_ms(self, project_id: str, names: Sequence[str]) -> int:
        """Return when the first version of the oldest of these definitions was made. Unix milliseconds."""
        [row] = self._store.rows(_FIRST_REVISION, {"project": project_id, "names": list(names)})
        return revision_ms(int(row["revision"]))
