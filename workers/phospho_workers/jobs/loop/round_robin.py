"""Projects in turn: a project that fails, or has much to do, keeps no other project waiting."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection
from typing import NamedTuple

# A step begins no further project after this time.
_STEP_S = 1.0
_FIRST_BACKOFF_S = 1.0
_MAX_BACKOFF_S = 300.0


class _Backoff(NamedTuple):
    """The pause of a project that failed, and its end."""

    pause_s: float
    until_s: float


class RoundRobin:
    """The order in which a job works on projects, in memory. Not thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._queue: deque[str] = deque()
        self._has_more = False
        self._backoffs: dict[str, _Backoff] = {}

    @property
    def has_failed(self) -> bool:
        """True if a project is left out because it failed: its turn comes by the clock."""
        return bool(self._backoffs)

    def step(self, project_ids: Collection[str], work: Callable[[str], bool]) -> bool:
        """
        Work on one project after the other for a second, and return whether more work may wait.

        `work` returns whether its project has more to do: that comes when all others have had their turn. An error
        that it raises is raised here, and its project is left out for a time that doubles up to five minutes; the next
        step continues with the project after it.
        """
        begun_s = self._clock()
        if not self._queue:
            self._begin_round(project_ids, begun_s)
        while self._queue and self._clock() - begun_s < _STEP_S:
            project_id = self._queue.popleft()
            if project_id in project_ids:
                self._has_more |= self._work_on(project_id, work)
        return self._has_more or bool(self._queue)

    def _begin_round(self, project_ids: Collection[str], now_s: float) -> None:
        self._backoffs = {name: backoff for name, backoff in self._backoffs.items() if name in project_ids}
        self._queue.extend(
            name for name in project_ids if name not in self._backoffs or self._backoffs[name].until_s <= now_s
        )
        self._has_more = False

    def _work_on(self, project_id: str, work: Callable[[str], bool]) -> bool:
        try:
            has_more = work(project_id)
        except BaseException:
            previous = self._backoffs.get(project_id)
            pause_s = min(_MAX_BACKOFF_S, 2 * previous.pause_s) if previous else _FIRST_BACKOFF_S
            self._backoffs[project_id] = _Backoff(pause_s, self._clock() + pause_s)
            raise
        self._backoffs.pop(project_id, None)
        return has_more
