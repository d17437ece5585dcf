"""Jobs that learn from a project's tasks, delayed while an import or sample data comes in."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from phospho_store.sql import compose
from phospho_store.store import Store
from phospho_workers.jobs.loop.job import Job

# Live traffic of 100 tasks a second delays nothing.
_RUSH_TASKS = 500
_RUSH_WINDOW_S = 5
_POLL_INTERVAL_S = 1.0
# Traffic that is always so dense delays a step by this much.
_MAX_DELAY_S = 60.0

# A part of one block is an insert. Parts that are merged since are still listed.
_NEW_TASKS = """
SELECT sum(rows) AS tasks FROM $parts
WHERE database = currentDatabase() AND table = 'task_rows' AND min_block_number = max_block_number
    AND modification_time >= now() - $window_s
"""


class DeferredJob:
    """
    Delay the steps of a job while many tasks come in, for at most a minute.

    Learning takes seconds of a core, and detection of the tasks that somebody waits for needs the same core.
    """

    def __init__(
        self,
        job: Job,
        store: Store,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name = job.name
        self.pause_s = job.pause_s
        self._job = job
        self._store = store
        self._clock = clock
        self._sleep = sleep
        self._deferred_at_s: float | None = None

    @property
    def tables(self) -> Sequence[str]:
        """The tables of the job."""
        return self._job.tables

    @property
    def max_pause_s(self) -> float:
        """The longest pause of the job."""
        return self._job.max_pause_s

    def step(self) -> bool:
        """Do a step of the job, or wait a second and return True while many tasks come in."""
        now_s = self._clock()
        if self._is_rush() and now_s - (self._deferred_at_s or now_s) < _MAX_DELAY_S:
            self._deferred_at_s = self._deferred_at_s or now_s
            self._sleep(_POLL_INTERVAL_S)
            return True
        self._deferred_at_s = None
        return self._job.step()

    def _is_rush(self) -> bool:
        query = compose(_NEW_TASKS, parts=self._store.parts, window_s=str(_RUSH_WINDOW_S))
        return any(int(row["tasks"]) > _RUSH_TASKS for row in self._store.rows(query))
