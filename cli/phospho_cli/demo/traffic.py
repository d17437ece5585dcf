"""Live traffic of the demo. The same seed gives the same tasks at the same moments."""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Iterator

from phospho_cli.demo.conversations import Conversations, DemoTask, Session

# A day of ups and downs in ten minutes, so that a chart shows one soon.
_WAVE_PERIOD_S = 600.0
_WAVE_HEIGHT = 0.6
_CONTINUES = 0.85
_MAX_OPEN_SESSIONS = 10_000


class DemoTraffic:
    """
    An endless stream of tasks, in order of time: Poisson arrivals of `rate` tasks a second on average.

    `at_s` counts from the start. Sessions overlap; a person takes some seconds to read an answer.
    """

    def __init__(self, seed: int, rate: float) -> None:
        self._random = random.Random(seed)
        self._conversations = Conversations(self._random, f"demo-{seed:08x}")
        self._rate = rate
        # (moment of the next turn, a number that breaks ties, session)
        self._open: list[tuple[float, int, Session]] = []

    def __iter__(self) -> Iterator[DemoTask]:
        at_s = 0.0
        while True:
            wave = 1 + _WAVE_HEIGHT * math.sin(2 * math.pi * at_s / _WAVE_PERIOD_S)
            at_s += self._random.expovariate(self._rate * wave)
            session = self._session(at_s)
            task = self._conversations.task(at_s, session)
            self._keep_open(at_s, session)
            yield task

    def _session(self, at_s: float) -> Session:
        """Return the session that speaks next: mostly one that waits, else a new one."""
        is_ready = bool(self._open) and self._open[0][0] <= at_s
        if (is_ready and self._random.random() < _CONTINUES) or len(self._open) >= _MAX_OPEN_SESSIONS:
            return heapq.heappop(self._open)[2]
        return self._conversations.session()

    def _keep_open(self, at_s: float, session: Session) -> None:
        if session.turns:
            next_at_s = at_s + 2 + self._random.lognormvariate(1.4, 0.6)
            heapq.heappush(self._open, (next_at_s, self._random.getrandbits(64), session))
