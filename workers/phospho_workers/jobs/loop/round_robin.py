"""Projects in turn: one that fails, or has much to do, is no reason for another one to wait."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection
from typing import NamedTuple

# A step begins no further project after this.
_STEP_S = 1.0
_FIRST_REST_S = 1.0
_MAX_REST_S = 300.0


class _Rest(NamedTuple):
    """How long a project that failed rests, and until when."""

    rest_s: float
    until_s: float


class Rota:
    """Whose turn it is. State in memory alone; of one thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._due: deque[str] = deque()
        self._is_more = False
        self._resting: dict[str, _Rest] = {}

    @property
    def has_failed(self) -> bool:
        """Whether a project rests because it failed: its turn comes by the clock."""
        return bool(self._resting)

    def step(self, project_ids: Collection[str], work: Callable[[str], bool]) -> bool:
        """
        Do a piece of work for each project in its turn, until a second is over; tell whether more may wait.

        `work` says of a project whether it has more: that comes when all others have had their turn. What it raises is
        raised here, and its project rests for a time that doubles up to five minutes; the next step goes on with the
        one after it.
        """
        begun_s = self._clock()
        if not self._due:
            self._begin_round(project_ids, begun_s)
        while self._due and self._clock() - begun_s < _STEP_S:
            project_id = self._due.popleft()
            if project_id in project_ids:
                self._is_more |= self._worked(project_id, work)
        return self._is_more or bool(self._due)

    def _begin_round(self, project_ids: Collection[str], now_s: float) -> None:
        self._resting = {name: rest for name, rest in self._resting.items() if name in project_ids}
        self._due.extend(
            name for name in project_ids if name not in self._resting or self._resting[name].until_s <= now_s
        )
        self._is_more = False

    def _worked(self, project_id: str, work: Callable[[str], bool]) -> bool:
        try:
            is_more = work(project_id)
        except BaseException:
            known = self._resting.get(project_id)
            rest_s = min(_MAX_REST_S, 2 * known.rest_s) if known else _FIRST_REST_S
            self._resting[project_id] = _Rest(rest_s, self._clock() + rest_s)
            raise
        self._resting.pop(project_id, None)
        return is_more
