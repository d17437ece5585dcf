"""Identifiers made on the client, so that a retry carries the id of the first attempt."""

from __future__ import annotations

import os
import threading
import time
from typing import Callable

__all__ = ["IdMaker", "new_id"]

_COUNTER_BITS = 12
# A clock that steps back by more than this was wrong before, and is followed.
_MAX_STEP_BACK_MS = 60_000


class IdMaker:
    """
    Makes UUIDs of version 7 (RFC 9562, section 5.7), each greater than those that it made before.

    After 48 bits of Unix milliseconds come 12 bits that count within the millisecond (section 6.2, method 1)
    and 62 random bits. Where the counter is used up, or the clock steps back, the time goes on from the last
    id. So tasks of one millisecond, which is what the server keeps of a time, are read back as they were
    logged; and the parts of its tables, which are sorted by id, stay disjoint. Thread-safe.
    """

    def __init__(self, now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        self._now_ms = now_ms
        self._last = 0
        self.after_fork()

    def next(self) -> str:
        tick = self._next_tick()
        random = int.from_bytes(os.urandom(8), "big") >> 2
        value = tick >> _COUNTER_BITS << 80 | 0x7 << 76 | (tick & 0xFFF) << 64 | 0b10 << 62 | random
        text = f"{value & (1 << 128) - 1:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def after_fork(self) -> None:
        """Have a lock of one's own: in the child, nobody is left who would release the parent's."""
        self._lock = threading.RLock()

    def _next_tick(self) -> int:
        """Return milliseconds and counter as one number, which carries from the second to the first."""
        with self._lock:
            now = self._now_ms() << _COUNTER_BITS
            is_far_behind = now < self._last - (_MAX_STEP_BACK_MS << _COUNTER_BITS)
            self._last = now if is_far_behind else max(now, self._last + 1)
            return self._last


_IDS = IdMaker()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_IDS.after_fork)

new_id = _IDS.next
