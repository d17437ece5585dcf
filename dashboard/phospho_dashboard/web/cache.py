"""Answers that are kept for a moment: what every page asks and seldom changes."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

_MAX_TTL_S = 60.0


class Kept(Generic[K, V]):
    """
    Keeps what `read` returns for `ttl_s`, of the last `size` keys. Any thread; two may read the same key at once.

    What took long is kept for `ttl_of_duration` times as long as it took, at most a minute: reading the same again
    takes a bounded share of the time.

    What `read` raises is raised, and not kept.
    """

    def __init__(
        self,
        read: Callable[[K], V],
        *,
        ttl_s: float,
        ttl_of_duration: float = 0.0,
        size: int = 256,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._ttl_s = ttl_s
        self._ttl_of_duration = ttl_of_duration
        self._size = size
        self._clock = clock
        self._lock = threading.Lock()
        self._answers: OrderedDict[K, tuple[float, V]] = OrderedDict()

    def get(self, key: K) -> V:
        """Return the answer of `key`, not older than it is kept."""
        with self._lock:
            known = self._answers.get(key)
        if known is not None and self._clock() < known[0]:
            return known[1]
        started_s = self._clock()
        answer = self._read(key)
        kept_s = min(self._ttl_of_duration * (self._clock() - started_s), _MAX_TTL_S)
        with self._lock:
            self._answers[key] = (started_s + max(self._ttl_s, kept_s), answer)
            self._answers.move_to_end(key)
            while len(self._answers) > self._size:
                self._answers.popitem(last=False)
        return answer
