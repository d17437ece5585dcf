"""Counters of a client's events, and warnings that don't flood the log."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Callable, NamedTuple

from .._logger import error_text, logger

__all__ = ["Counters", "Stats"]

# The same warning is logged once in this time. The counters have the rest.
WARN_AGAIN_AFTER_S = 30.0
# Reasons also come from servers, so their number and length are bounded. The rest is counted as OTHER.
MAX_REASONS = 100
MAX_REASON_CHARACTERS = 100
OTHER = "other"
# Failures kept for `raise_error_on_fail_to_send`. Older ones are forgotten.
MAX_FAILURES = 100


class Stats(NamedTuple):
    """
    Events since the client was made. `logged` = `sent` + the sum of `dropped` + `queued`.

    | field | meaning |
    | --- | --- |
    | `logged` | passed to `log`, the feedback functions and the label functions |
    | `sent` | accepted by the receiver |
    | `dropped` | lost, by reason (see below) |
    | `queued` | held in memory or spool: waiting, in flight, or part of an unfinished stream |
    | `truncated` | sent without raw fields, or with a shorter output, because of the limits |
    | `retried` | failed attempts that are repeated, by code |
    | `errors` | faults in the SDK or in functions passed to it, by source. They never reach the app |

    | reason | the event |
    | --- | --- |
    | `queue_full` | did not fit: `Limits.queue_events` or `queue_bytes` was reached |
    | `too_large` | is over `Limits.event_bytes` even without its raw fields |
    | `invalid` | is feedback without a score or flag, a label without a task or event, or can't be read |
    | `closed` | was logged after `Client.close` |
    | `fault` | was in flight when the sender failed. With a spool, the next process sends it |
    | `rejected:<code>` | was refused by the server, with its code or `http_<status>` |

    Two codes come from the SDK: `not_encodable` (the event can't be JSON) and `bad_outcome` (the transport
    returned no valid outcome).
    """

    logged: int
    sent: int
    dropped: dict[str, int]
    queued: int
    truncated: int
    retried: dict[str, int]
    errors: dict[str, int]


class Counters:
    """The counts behind `Stats`. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.logged = 0
        self.sent = 0
        self.truncated = 0
        self.dropped: dict[str, int] = {}
        self.retried: dict[str, int] = {}
        self.errors: dict[str, int] = {}
        # Code and message of the last failed attempt. Empty after a success.
        self.last_failure = ""
        self._failures: deque[str] = deque(maxlen=MAX_FAILURES)
        self._warned_at: dict[str, float] = {}
        self._clock = clock
        self._lock = threading.RLock()

    def count_logged(self, number: int = 1) -> None:
        """Count events that the app has logged."""
        with self._lock:
            self.logged += number

    def count_sent(self, number: int) -> None:
        """Count events that have arrived."""
        with self._lock:
            self.sent += number
            self.last_failure = ""

    def count_truncated(self) -> None:
        """Count one event that is sent without all of its content."""
        with self._lock:
            self.truncated += 1

    def count_dropped(self, reason: str, event_id: str, message: str) -> None:
        """Count one event that is lost, and warn."""
        with self._lock:
            _count(self.dropped, reason)
            self._failures.append(f"{event_id}: {reason}: {message}")
        self.warn(reason, f"phospho: event {event_id} is dropped ({reason}): {message}")

    def count_retried(self, code: str, number: int, message: str) -> None:
        """Count one failed attempt for *number* events that is repeated, and warn."""
        with self._lock:
            _count(self.retried, code)
            self.last_failure = f"{code}: {message}"
        self.warn(code, f"phospho: {number} event(s) will be sent again ({code}): {message}")

    def count_error(self, source: str, error: BaseException) -> None:
        """Count a fault that is kept from the app, and warn."""
        with self._lock:
            _count(self.errors, source)
        self.warn(source, f"phospho: {source} failed, and the app goes on: {error_text(error)}")

    def take_failures(self) -> list[str]:
        """Return the failures since the last call, and forget them."""
        with self._lock:
            failures = list(self._failures)
            self._failures.clear()
            return failures

    def stats(self, queued: int) -> Stats:
        """Return a copy of the counts."""
        with self._lock:
            return Stats(
                logged=self.logged,
                sent=self.sent,
                dropped=dict(self.dropped),
                queued=queued,
                truncated=self.truncated,
                retried=dict(self.retried),
                errors=dict(self.errors),
            )

    def warn(self, subject: str, text: str) -> None:
        """Log *text* as a warning, at most once in WARN_AGAIN_AFTER_S for a *subject*. Never under our lock."""
        now = self._clock()
        with self._lock:
            if now - self._warned_at.get(subject, float("-inf")) < WARN_AGAIN_AFTER_S:
                return
            if subject not in self._warned_at and len(self._warned_at) >= MAX_REASONS:
                del self._warned_at[next(iter(self._warned_at))]
            self._warned_at[subject] = now
        logger.warning("%s", text)


def _count(counts: dict[str, int], reason: str) -> None:
    """Add one to *reason*, or to OTHER if there are too many reasons."""
    reason = reason[:MAX_REASON_CHARACTERS]
    if reason not in counts and len(counts) >= MAX_REASONS:
        reason = OTHER
    counts[reason] = counts.get(reason, 0) + 1
