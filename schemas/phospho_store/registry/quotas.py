"""The quota of tasks that a project may log in a day (UTC)."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from phospho_store.errors import StoreError
from phospho_store.registry.registry import Registry
from phospho_store.store import Store

REFRESH_INTERVAL_S = 10.0

logger = logging.getLogger(__name__)
_STORED_TODAY = """
SELECT project_id, count() AS tasks, toUnixTimestamp(max(received_at)) AS landed_until_s FROM task_rows FINAL
WHERE project_id IN {projects:Array(String)} AND received_at >= toDateTime64({midnight:String}, 3, 'UTC')
GROUP BY project_id
"""
_DAY_S = 86_400


@dataclass
class _Account:
    """The tasks that one project logged today: those in ClickHouse, and those taken since, by second."""

    limit: int
    stored: int = 0
    taken: Counter[int] = field(default_factory=Counter)

    @property
    def used(self) -> int:
        return self.stored + self.taken.total()


class DailyQuotas:
    """
    Counts the tasks of each project today: those in ClickHouse, and those this process took that are not stored yet.

    A task that was taken is forgotten once one that was received later is stored, so a sink that lags opens no gap.
    `refresh` blocks and raises what the store raises; `take` and `give_back` never block. Several gateways learn
    of each other's tasks when they are stored, so together they may exceed a quota by the tasks in flight.
    A task that is logged again counts twice until it is stored. Until the first refresh nothing is refused.
    """

    def __init__(self, store: Store, registry: Registry, now_s: Callable[[], float] = time.time) -> None:
        self._store = store
        self._registry = registry
        self._now_s = now_s
        self._lock = threading.Lock()
        self._accounts: dict[str, _Account] = {}
        self._day = 0

    def refresh(self) -> None:
        """Read the quotas from the registry, and from ClickHouse the tasks of today of the projects with one."""
        day = int(self._now_s()) // _DAY_S
        limits = {p.project_id: p.settings.max_tasks_per_day for p in self._registry.projects()}
        limits = {project_id: limit for project_id, limit in limits.items() if limit}
        stored = self._stored_on(day, list(limits)) if limits else {}
        with self._lock:
            self._turn_of_day()
            if day != self._day:
                # The count is yesterday's; the next refresh counts today's tasks.
                stored = {}
            self._accounts = {name: self._settle(name, limit, stored.get(name)) for name, limit in limits.items()}

    def take(self, project_id: str, tasks: int) -> int | None:
        """
        Count tasks of a project; None where it may log them, else the seconds after which to try again.

        That is the next day where the stored tasks leave no room, else the next refresh: what is on its way may turn
        out to be tasks that are stored already.
        """
        with self._lock:
            self._turn_of_day()
            account = self._accounts.get(project_id)
            if account is None:
                return None
            now_s = int(self._now_s())
            if account.used + tasks > account.limit:
                is_full = account.stored + tasks > account.limit
                return _DAY_S - now_s % _DAY_S if is_full else int(REFRESH_INTERVAL_S)
            account.taken[now_s] += tasks
            return None

    def give_back(self, project_id: str, tasks: int) -> None:
        """Uncount tasks that were taken and not stored: the latest first."""
        with self._lock:
            account = self._accounts.get(project_id) or _Account(0)
            for second in sorted(account.taken, reverse=True):
                returned = min(tasks, account.taken[second])
                account.taken[second] -= returned
                tasks -= returned

    def limit(self, project_id: str) -> int | None:
        """Return how many tasks a project may log in a day; None where nothing bounds it."""
        account = self._accounts.get(project_id)
        return account.limit if account else None

    def retention_days(self, project_id: str) -> int:
        """Return after how many days a project's tasks are deleted; 0 where they are kept, or before the first read."""
        return self._registry.retention_days(project_id)

    def mask(self, project_id: str) -> tuple[str, ...]:
        """Return the rules of masking of a project. Raises StoreUnavailable before the first refresh."""
        return self._registry.mask(project_id)

    def _settle(self, project_id: str, limit: int, stored: tuple[int, int] | None) -> _Account:
        """Return the account after a refresh: what was taken before the last task that is stored has landed."""
        account = self._accounts.get(project_id)
        taken = account.taken if account else Counter()
        if stored is None:
            return _Account(limit, account.stored if account else 0, taken)
        tasks, landed_until_s = stored
        return _Account(limit, tasks, Counter({second: n for second, n in taken.items() if second >= landed_until_s}))

    def _turn_of_day(self) -> None:
        day = int(self._now_s()) // _DAY_S
        if day != self._day:
            self._day = day
            self._accounts = {name: _Account(account.limit) for name, account in self._accounts.items()}

    def _stored_on(self, day: int, projects: list[str]) -> dict[str, tuple[int, int]]:
        midnight = f"{datetime.fromtimestamp(day * _DAY_S, UTC):%Y-%m-%d} 00:00:00"
        rows = self._store.rows(_STORED_TODAY, {"projects": projects, "midnight": midnight})
        return {row["project_id"]: (int(row["tasks"]), int(row["landed_until_s"])) for row in rows}


async def keep_fresh(quotas: DailyQuotas) -> None:
    """Refresh quotas every 10 s until cancelled; the loop is never blocked, and a store that is away is waited for."""
    while True:
        try:
            await asyncio.to_thread(quotas.refresh)
        except StoreError as error:
            logger.warning("quotas are as they were: %s", error)
        await asyncio.sleep(REFRESH_INTERVAL_S)
