"""Limits on password attempts, and the networks from which each person is known to sign in."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable


class Attempts:
    """
    Count the attempts under a key, such as an address: at most `limit` within `window_s`. Thread-safe.

    Only the `max_keys` keys used last are remembered. Anybody can make one up, so the memory of the library `limits`,
    which has no bound, won't do. An attempt is counted before its outcome is known, so many at once are limited like
    many in a row.
    """

    def __init__(
        self, limit: int, window_s: float, max_keys: int = 10_000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit = limit
        self._window_s = window_s
        self._max_keys = max_keys
        self._clock = clock
        self._times: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = threading.Lock()

    def count(self, key: str) -> int | None:
        """Count an attempt and return None; or, above the limit, return the seconds until the next one is free."""
        now_s = self._clock()
        with self._lock:
            times = self._times.setdefault(key, deque())
            self._times.move_to_end(key)
            while times and times[0] <= now_s - self._window_s:
                times.popleft()
            if len(times) >= self._limit:
                return max(1, math.ceil(times[0] + self._window_s - now_s))
            times.append(now_s)
            while len(self._times) > self._max_keys:
                self._times.popitem(last=False)
        return None

    def uncount(self, key: str) -> None:
        """Remove the last attempt under a key, since it has succeeded."""
        with self._lock:
            if times := self._times.get(key):
                times.pop()

    def reset(self, key: str) -> None:
        """Remove all attempts under a key, the last of which has succeeded."""
        with self._lock:
            self._times.pop(key, None)


class KnownNetworks:
    """The networks from which people have signed in: the last `max_pairs` of person and address. Thread-safe."""

    def __init__(self, max_pairs: int = 10_000) -> None:
        self._max_pairs = max_pairs
        self._pairs: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, name: str, address: str) -> None:
        with self._lock:
            self._pairs[name, address] = None
            self._pairs.move_to_end((name, address))
            while len(self._pairs) > self._max_pairs:
                self._pairs.popitem(last=False)

    def __contains__(self, pair: tuple[str, str]) -> bool:
        with self._lock:
            return pair in self._pairs
