"""
Ids and revisions: what makes a replay change nothing.

An id that a client gave is kept. An id that it did not give is derived from the content and the place of the
message, so that the same message gets the same id on every replay. A revision orders the writes of one task.
"""

from __future__ import annotations

import hashlib
import re
import threading
import time
import uuid
from collections.abc import Callable

from phospho_schemas.times import MAX_AHEAD_MS

_COUNTER_BITS = 16
_COUNTER_MASK = (1 << _COUNTER_BITS) - 1
_MAX_REVISION = (1 << 64) - 1
MAX_OBSERVED_REVISION = 1 << 63
_MAX_ORDER = (1 << 12) - 1

# All of a project's id; the same in HTML, JSON Schema and Python.
PROJECT_ID_PATTERN = r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,127}"
_PROJECT_ID = re.compile(PROJECT_ID_PATTERN)


def is_project_id(text: str) -> bool:
    """Return whether `text` can be the id of a project: 1 to 128 letters, digits, _, . or -."""
    return _PROJECT_ID.fullmatch(text) is not None


def derived_uuid(time_ms: int, *parts: str | bytes, order: int | None = None) -> str:
    """
    Return a UUID whose first 48 bits are `time_ms` (Unix milliseconds) and whose rest is a hash of `parts`.

    The layout is UUIDv7 (RFC 9562, 5.7) with a hash in the place of the random bits: equal arguments give the
    equal id, and ids sort by time, which keeps the parts of a table that is ordered by id disjoint. Those of one
    millisecond sort by `order`, which stands for the first 12 bits of the hash (RFC 9562, 6.2, method 1); from
    4095 on it says no more.
    """
    digest = hashlib.blake2b(_joined(parts), digest_size=10).digest()
    value = (time_ms & ((1 << 48) - 1)) << 80 | int.from_bytes(digest, "big")
    if order is not None:
        value = value & ~(_MAX_ORDER << 64) | min(order, _MAX_ORDER) << 64
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=value))


def derived_id(*parts: str | bytes) -> str:
    """Return 32 hexadecimal digits that depend on `parts` alone, and on their boundaries."""
    return hashlib.blake2b(_joined(parts), digest_size=16).hexdigest()


def event_id(project_id: str, task_id: str, name: str) -> str:
    """Return the identity of an event: found again, or added by a person, it is the same."""
    return derived_id("event", project_id, task_id, name)


def session_id_of_task(task_id: str) -> str:
    """Return the session of a task that was logged without one: the task is a session by itself."""
    return "sess_" + derived_id("session", task_id)[:16]


def message_key(project_id: str, session_id: str, task_id: str) -> bytes:
    """
    Return the Kafka key: project and session, which is that of the task by itself where the client gave none.

    So a task has one key on every topic, whether its session is known already or not.
    """
    return f"{project_id}:{session_id or session_id_of_task(task_id)}".encode("utf-8", "replace")


def broker_revision(timestamp_ms: int, offset: int) -> int:
    """
    Return the revision of a record that no gateway has stamped: the broker's append time, then its offset.

    Within a partition it rises with the offset as long as the broker's clock does not step back.
    """
    return max(timestamp_ms, 0) << _COUNTER_BITS | (offset & _COUNTER_MASK)


def revision_ms(revision: int) -> int:
    """Return the Unix milliseconds inside a revision."""
    return revision >> _COUNTER_BITS


def revision_counter(revision: int) -> int:
    """Return what a revision counts within its millisecond."""
    return revision & _COUNTER_MASK


def newest_revision(now_ms: int) -> int:
    """Return the greatest revision that one of our processes may have given: its clock may be a day ahead."""
    return min(now_ms + MAX_AHEAD_MS << _COUNTER_BITS | _COUNTER_MASK, _MAX_REVISION)


class HybridClock:
    """
    Revisions (64 bits: Unix milliseconds, then a counter) that never repeat and never fall in one process.

    A hybrid logical clock (Kulkarni et al. 2014) without the message exchange: where the wall clock steps back,
    the counter goes on from the last revision. `observe` moves it past what another process has written.
    Thread-safe.
    """

    def __init__(self, now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        self._now_ms = now_ms
        self._last = 0
        self._lock = threading.Lock()

    def next(self) -> int:
        with self._lock:
            self._last = max(self._now_ms() << _COUNTER_BITS, self._last + 1)
            return self._last

    def observe(self, revision: int) -> None:
        """
        Make every later revision greater than `revision`, however far ahead of the wall clock that is.

        A clock that was ahead and was set right has stamped such revisions, and an update must win over them. Half of
        the range is left to count in: no clock reaches the other half.
        """
        if revision < MAX_OBSERVED_REVISION:
            with self._lock:
                self._last = max(self._last, revision)


def _joined(parts: tuple[str | bytes, ...]) -> bytes:
    encoded = [part if isinstance(part, bytes) else part.encode("utf-8", "surrogatepass") for part in parts]
    return b"".join(len(part).to_bytes(4, "big") + part for part in encoded)
