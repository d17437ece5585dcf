"""How often somebody may try a password."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable


class Attempts:
    """
    Counts tries under a key, such as an address: at most `limit` within `window_s`. Thread-safe.

    It remembers `max_keys` keys, those tried last: anybody can make one up, which is why this is no counter of the
    library `limits`, whose memory has no bound. A try is counted before its outcome is known, so that many at once
    are no more than many in a row.
    """

    def __init__(
        self, limit: int, window_s: float, max_keys: int = 10_000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit = limit
        self._window_s = window_s
        self._max_keys = max_keys
        self._clock = clock
        self._tries: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, key: str) -> int | None:
        """Count a try and return None; or, where there were too many, the seconds after which one is free again."""
        now_s = self._clock()
        with self._lock:
            tries = self._tries.setdefault(key, deque())
            self._tries.move_to_end(key)
            while tries and tries[0] <= now_s - self._window_s:
                tries.popleft()
            if len(tries) >= self._limit:
                return max(1, math.ceil(tries[0] + self._window_s - now_s))
            tries.append(now_s)
            while len(self._tries) > self._max_keys:
                self._tries.popitem(last=False)
        return None

    def give_back(self, key: str) -> None:
        """Take the last try under a key back: it was none, since it has succeeded."""
        with self._lock:
            if tries := self._tries.get(key):
                tries.pop()

    def forget(self, key: str) -> None:
        """Forget the tries under a key, the last of which has succeeded."""
        with self._lock:
            self._tries.pop(key, None)


class Familiar:
    """Remembers from which networks a person has signed in: at most `max_pairs` of both, the last ones. Thread-safe."""

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
