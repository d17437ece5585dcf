"""A cache with a time to live, for values that every page reads and that seldom change."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

_MAX_TTL_S = 60.0


class TimedCache(Generic[K, V]):
    """
    Cache the results of `read` for `ttl_s`, for the last `size` keys. Any thread; two may read the same key at once.

    A slow result lives for `ttl_of_duration` times as long as it took, at most a minute, so that reading it again
    takes a limited share of the time. Exceptions are raised, and not cached.
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
        self._values: OrderedDict[K, tuple[float, V]] = OrderedDict()

    def get(self, key: K) -> V:
        """Return the value of `key`, from the cache where it is fresh."""
        with self._lock:
            cached = self._values.get(key)
        if cached is not None and self._clock() < cached[0]:
            return cached[1]
        started_s = self._clock()
        value = self._read(key)
        slow_ttl_s = min(self._ttl_of_duration * (self._clock() - started_s), _MAX_TTL_S)
        with self._lock:
            self._values[key] = (started_s + max(self._ttl_s, slow_ttl_s), value)
            self._values.move_to_end(key)
            while len(self._values) > self._size:
                self._values.popitem(last=False)
        return value
