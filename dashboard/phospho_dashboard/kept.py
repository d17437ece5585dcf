"""Answers that are kept for a moment: what every page asks and seldom changes."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Kept(Generic[K, V]):
    """
    Keeps what `read` returns for `ttl_s`, of the last `size` keys. Any thread; two may read the same key at once.

    What `read` raises is raised, and not kept.
    """

    def __init__(
        self, read: Callable[[K], V], *, ttl_s: float, size: int = 256, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._read = read
        self._ttl_s = ttl_s
        self._size = size
        self._clock = clock
        self._lock = threading.Lock()
        self._answers: OrderedDict[K, tuple[float, V]] = OrderedDict()

    def get(self, key: K) -> V:
        """Return the answer of `key`, at most `ttl_s` old."""
        with self._lock:
            known = self._answers.get(key)
        if known is not None and self._clock() - known[0] < self._ttl_s:
            return known[1]
        started_s = self._clock()
        answer = self._read(key)
        with self._lock:
            self._answers[key] = (started_s, answer)
            self._answers.move_to_end(key)
            while len(self._answers) > self._size:
                self._answers.popitem(last=False)
        return answer
