"""
The job that computes rollups: for every hour that changed, once nothing in it has changed for a minute.

A step marks the hours that changed since the last step as due, in the store, and then computes some of the due hours.
A job that is killed leaves its due hours marked.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from phospho_store.rollups.rollups import SETTLING_MS, Hour, Rollups
from phospho_workers.jobs.loop.job import MAX_PAUSE_S
from phospho_workers.jobs.loop.leases import Holds, all_projects

# Facts of a statement are read into memory, as states of each hour.
_TASKS_AT_ONCE = 1_000_000
# A step begins no further computation after this time.
_STEP_S = 1.0
_HOURS_AT_ONCE = 500
_WAITING_AT_ONCE = 20_000


class RollupJob:
    """Computes hours from facts, of all projects, the latest first."""

    name = "rollups"
    # One pass looks at the changes of all projects, which costs some 50 ms of CPU.
    pause_s = 10.0
    max_pause_s = MAX_PAUSE_S
    tables: Sequence[str] = (
        "task_rows", "analysis_rows", "feedback_rows", "label_rows", "judgement_rows", "session_analysis_rows",
        "rollup_hour_rows",
    )  # fmt: skip

    def __init__(self, rollups: Rollups, settling_ms: int = SETTLING_MS, *, holds: Holds = all_projects) -> None:
        self._rollups = rollups
        self._holds = holds
        self._settling_ms = settling_ms
        self._waiting: dict[Hour, int] = {}
        self._read_to_ms = 0

    def step(self) -> bool:
        now_ms = self._rollups.now_ms()
        settled_ms = now_ms - self._settling_ms
        self._rollups.advance(now_ms, settled_ms)
        self._read_waiting(now_ms)
        ready = self._ready(now_ms, settled_ms)
        if not ready and not self._read_to_ms:
            # None of those in memory is due: the others have their turn after a pause.
            self._waiting.clear()
            return False
        began_s = time.monotonic()
        while ready and time.monotonic() - began_s < _STEP_S:
            project_id, hours = ready.popitem()
            computed = self._next_hours(project_id, hours)
            self._rollups.compute(project_id, computed, now_ms)
            for hour in computed:
                del self._waiting[Hour(project_id, hour)]
            if remaining := set(hours) - set(computed):
                ready = {project_id: sorted(remaining)} | ready
        return bool(ready) or not (self._waiting or self._read_to_ms)

    def _read_waiting(self, now_ms: int) -> None:
        """Read what has begun to wait since the last step; from the beginning once what fitted into memory is done."""
        if self._waiting and not self._read_to_ms:
            return
        rows = self._rollups.waiting(self._read_to_ms, _WAITING_AT_ONCE)
        self._waiting.update((row.hour, row.due_ms) for row in rows)
        self._read_to_ms = 0 if len(rows) == _WAITING_AT_ONCE else now_ms - SETTLING_MS

    def _ready(self, now_ms: int, settled_ms: int) -> dict[str, list[int]]:
        """Return the hours to compute by project; the project with the latest hour is the last one."""
        due = [hour for hour, due_ms in self._waiting.items() if due_ms <= now_ms and self._holds(hour.project_id)]
        if not due:
            return {}
        changing = self._rollups.changing(settled_ms, sorted({hour.project_id for hour in due}))
        ready: dict[str, list[int]] = {}
        for hour in sorted((hour for hour in due if hour not in changing), key=lambda hour: hour.hour):
            ready[hour.project_id] = ready.pop(hour.project_id, [])
            ready[hour.project_id].append(hour.hour)
        return ready

    def _next_hours(self, project_id: str, ready: Sequence[int]) -> list[int]:
        """Return the latest of these hours, as many as a statement should read."""
        hours = sorted(ready, reverse=True)[:_HOURS_AT_ONCE]
        tasks_by_hour = self._rollups.tasks_by_hour(project_id, hours)
        tasks, count = 0, 0
        while count < len(hours) and (not count or tasks + tasks_by_hour.get(hours[count], 0) <= _TASKS_AT_ONCE):
            tasks += tasks_by_hour.get(hours[count], 0)
            count += 1
        return hours[:count]
