"""The sample of a project's tasks in which themes are found: by chance, with more of the tasks that have no theme."""

from __future__ import annotations

from typing import NamedTuple

from phospho_store.sql import compose
from phospho_store.store import Store
from phospho_workers.jobs.shortened_texts import shortened

_MAX_TASKS = 12_000
_MAX_UNASSIGNED = 4_000
_DAYS = 90
_KEPT_CHARACTERS = 1_000

_RECENT = (
    "created_at > (SELECT max(created_at) FROM task_rows WHERE project_id = {project:String}) - INTERVAL $days DAY"
)
# Every $step-th task by the hash of its id: the same ones whenever it is asked. In the order of that hash.
# Parameters: project, step.
_SAMPLE = """
SELECT task_id, $texts FROM
(
    SELECT task_id, input FROM task_rows FINAL
    WHERE project_id = {project:String} AND $recent AND input != ''
        AND cityHash64(task_id) % {step:UInt64} = 0 AND $also
    ORDER BY cityHash64(task_id), task_id LIMIT $limit
) AS t
"""
_UNASSIGNED = """
(cityHash64(task_id) % {others_step:UInt64} != 0 AND task_id IN
    (SELECT task_id FROM analysis_rows FINAL WHERE project_id = {project:String} AND theme = '' AND theme_version > 0))
"""
_COUNT = "SELECT count() AS tasks FROM task_rows WHERE project_id = {project:String} AND $recent"


class SampledTask(NamedTuple):
    """A task of a sample, with its input, of which a long one is cut."""

    task_id: str
    text: str


class ThemeSamples:
    """Reads of samples. Blocking; raises what the store raises."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._recent = compose(_RECENT, days=str(_DAYS))

    def sample(self, project_id: str) -> list[SampledTask]:
        """Return at most 16,000 tasks of the last 90 days that a project has, the same ones each time."""
        [counted] = self._store.rows(compose(_COUNT, recent=self._recent), {"project": project_id})
        step = max(1, int(counted["tasks"]) // _MAX_TASKS)
        tasks = self._tasks(project_id, step, "1", _MAX_TASKS)
        if step > 1:
            tasks += self._tasks(project_id, 1, _UNASSIGNED, _MAX_UNASSIGNED, others_step=step)
        return tasks

    def _tasks(self, project_id: str, step: int, also: str, limit: int, **parameters: int) -> list[SampledTask]:
        sql = compose(
            _SAMPLE,
            texts=shortened(("input",), _KEPT_CHARACTERS),
            recent=self._recent,
            also=also,
            limit=str(limit),
        )
        rows = self._store.rows(sql, {"project": project_id, "step": step, **parameters})
        return [SampledTask(row["task_id"], row["input"]) for row in rows]
