"""Ids made on the client, so that a retry carries the id of the first attempt."""

from __future__ import annotations

import os
import threading
import time
from typing import Callable

__all__ = ["IdMaker", "new_id", "new_version_id"]

_COUNTER_BITS = 12
# If the clock steps back by more than this, it was wrong before: ids follow it.
_MAX_STEP_BACK_MS = 60_000


class IdMaker:
    """
    Makes UUIDs of version 7 (RFC 9562, section 5.7), each greater than the one before. Thread-safe.

    After 48 bits of Unix milliseconds come 12 bits that count within the millisecond (section 6.2, method 1) and 62
    random bits. When the counter is used up, or the clock steps back, the time continues from the last id. The
    server's times have milliseconds, so the ids keep the order of tasks of one millisecond. Its tables are sorted by
    id, so their parts stay disjoint.
    """

    def __init__(self, now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        self._now_ms = now_ms
        self._last = 0
        self.after_fork()

    def next(self) -> str:
        """Return a new id."""
        tick = self._next_tick()
        random = int.from_bytes(os.urandom(8), "big") >> 2
        value = tick >> _COUNTER_BITS << 80 | 0x7 << 76 | (tick & 0xFFF) << 64 | 0b10 << 62 | random
        text = f"{value & (1 << 128) - 1:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def after_fork(self) -> None:
        """Make a new lock in the child, where no thread would release the parent's."""
        self._lock = threading.RLock()

    def _next_tick(self) -> int:
        """Return milliseconds and counter as one number, so that the counter carries into the milliseconds."""
        with self._lock:
            now = self._now_ms() << _COUNTER_BITS
            is_reset = now < self._last - (_MAX_STEP_BACK_MS << _COUNTER_BITS)
            self._last = now if is_reset else max(now, self._last + 1)
            return self._last


_IDS = IdMaker()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_IDS.after_fork)

new_id = _IDS.next


def new_version_id() -> str:
    """Return today's date and four hexadecimal digits, as in `20260102_9f3a`."""
    return f"{time.strftime('%Y%m%d')}_{new_id()[-4:]}"
