"""What became of the events of a client, counted, and said in its log without flooding it."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from typing import Callable, NamedTuple

__all__ = ["Counters", "Stats", "logger"]

logger = logging.getLogger("phospho")

# The same trouble is said once in this time; the counters have the rest.
SAY_AGAIN_AFTER_S = 30.0
# Failures kept for `raise_error_on_fail_to_send`; beyond it only their number is known.
MAX_FAILURES = 100


class Stats(NamedTuple):
    """
    Events since the client was made. `logged` = `sent` + the sum of `dropped` + `queued`.

    | field | meaning |
    | --- | --- |
    | `logged` | given to `log` and the feedback functions |
    | `sent` | accepted by the receiver |
    | `dropped` | never to arrive, by reason: `queue_full`, `too_large`, `invalid`, or `rejected:<code>` |
    | `queued` | held in memory or spool: waiting, in flight, or a stream not yet complete |
    | `truncated` | sent without their raw fields, or with a shorter output, for the limits' sake |
    | `retried` | attempts that are to be made again, by code |
    | `errors` | faults inside the SDK or the functions passed to it, by place; the app went on |
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
        self._failures: deque[str] = deque(maxlen=MAX_FAILURES)
        self._said_at: dict[str, float] = {}
        self._clock = clock
        self._lock = threading.RLock()

    def count_logged(self, number: int = 1) -> None:
        """Count events that the app has given."""
        with self._lock:
            self.logged += number

    def count_sent(self, number: int) -> None:
        """Count events that have arrived."""
        with self._lock:
            self.sent += number

    def count_truncated(self) -> None:
        """Count one event that goes without all of its content."""
        with self._lock:
            self.truncated += 1

    def count_dropped(self, reason: str, event_id: str, message: str) -> None:
        """Count one event that will never arrive, and say so."""
        with self._lock:
            self.dropped[reason] = self.dropped.get(reason, 0) + 1
            self._failures.append(f"{event_id}: {reason}: {message}")
        self._say(reason, f"phospho: event {event_id} is dropped ({reason}): {message}")

    def count_retried(self, code: str, number: int, message: str) -> None:
        """Count one attempt for *number* events that is to be made again."""
        with self._lock:
            self.retried[code] = self.retried.get(code, 0) + 1
        self._say(code, f"phospho: {number} event(s) are to be sent again ({code}): {message}")

    def count_error(self, place: str, error: BaseException) -> None:
        """Count a fault that was kept from the app."""
        with self._lock:
            self.errors[place] = self.errors.get(place, 0) + 1
        self._say(place, f"phospho: {place} failed, and the app goes on: {type(error).__name__}: {error}")

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

    def _say(self, subject: str, text: str) -> None:
        """Log *text* as a warning, unless *subject* was spoken of a moment ago. Never under our lock."""
        now = self._clock()
        with self._lock:
            if now - self._said_at.get(subject, float("-inf")) < SAY_AGAIN_AFTER_S:
                return
            self._said_at[subject] = now
        logger.warning(text)
