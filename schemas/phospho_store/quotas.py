"""How many tasks a project may log in a day (UTC), where its settings bound it."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from phospho_store.errors import StoreError
from phospho_store.registry import Registry
from phospho_store.store import Store

REFRESH_INTERVAL_S = 10.0

_log = logging.getLogger(__name__)
_TAKEN_TODAY = """
SELECT project_id, count() AS tasks FROM task_rows FINAL
WHERE project_id IN {projects:Array(String)} AND received_at >= toDateTime64({midnight:String}, 3, 'UTC')
GROUP BY project_id
"""


class DailyQuotas:
    """
    Counts what each project logged today: what ClickHouse says, and what this process has taken since it said so.

    `refresh` blocks and raises what the store raises; `take` and `give_back` never block. Several gateways learn of
    each other's tasks at a refresh, so together they may take more than the quota by what they take between two.
    Until the first refresh, and while ClickHouse is away, nothing is refused that was not refused before.
    """

    def __init__(self, store: Store, registry: Registry, now_s: Callable[[], float] = time.time) -> None:
        self._store = store
        self._registry = registry
        self._now_s = now_s
        self._lock = threading.Lock()
        self._limits: Mapping[str, int] = {}
        self._stored: Counter[str] = Counter()
        self._taken: Counter[str] = Counter()
        self._day = 0

    def refresh(self) -> None:
        """Ask the registry for quotas, and ClickHouse for what was logged today by the projects that have one."""
        quotas = {p.project_id: p.settings.max_tasks_per_day for p in self._registry.projects()}
        limited = {project_id: quota for project_id, quota in quotas.items() if quota}
        with self._lock:
            self._turn_of_day()
            before = self._taken.copy()
        stored = self._stored_today(list(limited)) if limited else Counter()
        with self._lock:
            self._limits, self._stored = limited, stored
            self._taken -= before

    def take(self, project_id: str, tasks: int) -> int | None:
        """Count tasks of a project; None where it may log them, else the seconds until the next day begins."""
        with self._lock:
            self._turn_of_day()
            limit = self._limits.get(project_id)
            if limit is None:
                return None
            if self._stored[project_id] + self._taken[project_id] + tasks > limit:
                return 86_400 - int(self._now_s()) % 86_400
            self._taken[project_id] += tasks
            return None

    def give_back(self, project_id: str, tasks: int) -> None:
        """Uncount tasks that were taken and not stored."""
        with self._lock:
            self._taken[project_id] -= min(tasks, self._taken[project_id])

    def limit(self, project_id: str) -> int | None:
        """Return how many tasks a project may log in a day; None where nothing bounds it."""
        return self._limits.get(project_id)

    def _turn_of_day(self) -> None:
        day = int(self._now_s()) // 86_400
        if day != self._day:
            self._day = day
            self._stored.clear()
            self._taken.clear()

    def _stored_today(self, projects: list[str]) -> Counter[str]:
        today = datetime.fromtimestamp(self._now_s(), UTC)
        rows = self._store.rows(_TAKEN_TODAY, {"projects": projects, "midnight": f"{today:%Y-%m-%d} 00:00:00"})
        return Counter({row["project_id"]: int(row["tasks"]) for row in rows})


async def keep_fresh(quotas: DailyQuotas) -> None:
    """Refresh quotas every 10 s until cancelled; the loop is never blocked, and a store that is away is waited for."""
    while True:
        try:
            await asyncio.to_thread(quotas.refresh)
        except StoreError as error:
            _log.warning("quotas are as they were: %s", error)
        await asyncio.sleep(REFRESH_INTERVAL_S)
