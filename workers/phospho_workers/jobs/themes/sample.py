"""
The sample of a project's tasks in which themes are found.

It is by chance, with more of the tasks that have no theme, and more of those that came since the last model: a theme
that began today is among them, however long the history is.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from phospho_schemas.rows.themes import ThemeSide
from phospho_store.sql import compose
from phospho_store.store import Store
from phospho_workers.jobs.stored_tasks import shortened

_MAX_TASKS = 12_000
_MAX_UNASSIGNED = 4_000
_MAX_NEW = 4_000
_DAYS = 90
# Later than every task.
_NEVER_MS = 2**42
_KEPT_CHARACTERS = 1_000

_RECENT = (
    "created_at > (SELECT max(created_at) FROM task_rows WHERE project_id = {project:String}) - INTERVAL $days DAY"
)
# Every $step-th task by the hash of its id: the same ones whenever it is asked. In the order of that hash.
# Parameters: project, step, since_ms.
_SAMPLE = """
SELECT task_id, received_at > fromUnixTimestamp64Milli({since_ms:Int64}) AS is_new, $texts FROM
(
    SELECT task_id, received_at, input, output FROM task_rows FINAL
    WHERE project_id = {project:String} AND $recent AND input != ''
        AND cityHash64(task_id) % {step:UInt64} = 0 AND $also
    ORDER BY cityHash64(task_id), task_id LIMIT $limit
) AS t
"""
_UNASSIGNED = """
(cityHash64(task_id) % {others_step:UInt64} != 0 AND task_id IN
    (SELECT task_id FROM analysis_rows FINAL WHERE project_id = {project:String} AND theme = '' AND theme_version > 0))
"""
_NEW = """
(cityHash64(task_id) % {others_step:UInt64} != 0 AND received_at > fromUnixTimestamp64Milli({since_ms:Int64}))
"""
_COUNT = "SELECT count() AS tasks FROM task_rows WHERE project_id = {project:String} AND $recent"


class SampledTask(NamedTuple):
    """A task of a sample, with its texts, of which long ones are cut; `is_new` if it came after a given time."""

    task_id: str
    input: str
    output: str
    is_new: bool = False

    def text(self, side: ThemeSide) -> str:
        """Return the text of a side."""
        return self.input if side == "input" else self.output


class ThemeSamples:
    """Reads of samples. Blocking; raises what the store raises."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._recent = compose(_RECENT, days=str(_DAYS))

    def sample(self, project_id: str, since: datetime | None = None) -> list[SampledTask]:
        """
        Return at most 20,000 tasks of the last 90 days that a project has, the same ones each time.

        Those received after `since` are new, and there are more of them; none is without it.
        """
        since_ms = _NEVER_MS if since is None else round(since.timestamp() * 1000)
        [counted] = self._store.rows(compose(_COUNT, recent=self._recent), {"project": project_id})
        step = max(1, int(counted["tasks"]) // _MAX_TASKS)
        tasks = self._tasks(project_id, step, "1", _MAX_TASKS, since_ms=since_ms)
        if step > 1:
            others = {"others_step": step, "since_ms": since_ms}
            tasks += self._tasks(project_id, 1, _UNASSIGNED, _MAX_UNASSIGNED, **others)
            tasks += self._tasks(project_id, 1, _NEW, _MAX_NEW, **others) if since is not None else []
        return list({task.task_id: task for task in tasks}.values())

    def _tasks(self, project_id: str, step: int, also: str, limit: int, **parameters: int) -> list[SampledTask]:
        sql = compose(
            _SAMPLE,
            texts=shortened(("input", "output"), _KEPT_CHARACTERS),
            recent=self._recent,
            also=also,
            limit=str(limit),
        )
        rows = self._store.rows(sql, {"project": project_id, "step": step, **parameters})
        return [SampledTask(row["task_id"], row["input"], row["output"], bool(row["is_new"])) for row in rows]
