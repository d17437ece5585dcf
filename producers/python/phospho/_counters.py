"""What became of the events of a client, counted, and said in its log without flooding it."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from typing import Callable, NamedTuple

__all__ = ["Counters", "Stats", "described", "logger", "shown"]

logger = logging.getLogger("phospho")

# The same trouble is said once in this time; the counters have the rest.
SAY_AGAIN_AFTER_S = 30.0
# Reasons come from servers too, so their number and length are bounded; the rest is counted as OTHER.
MAX_REASONS = 100
MAX_REASON_CHARACTERS = 100
OTHER = "other"
MAX_ERROR_CHARACTERS = 2000
MAX_SHOWN_CHARACTERS = 200
# Failures kept for `raise_error_on_fail_to_send`; beyond it only their number is known.
MAX_FAILURES = 100


class Stats(NamedTuple):
    """
    Events since the client was made. `logged` = `sent` + the sum of `dropped` + `queued`.

    | field | meaning |
    | --- | --- |
    | `logged` | given to `log` and the feedback functions |
    | `sent` | accepted by the receiver |
    | `dropped` | never to arrive, by reason, see below |
    | `queued` | held in memory or spool: waiting, in flight, or a stream not yet complete |
    | `truncated` | sent without their raw fields, or with a shorter output, for the limits' sake |
    | `retried` | attempts that are to be made again, by code |
    | `errors` | faults inside the SDK or the functions passed to it, by place; the app went on |

    | reason | the event |
    | --- | --- |
    | `queue_full` | was refused: `Limits.queue_events` or `queue_bytes` was reached |
    | `too_large` | is over `Limits.event_bytes` even without its raw fields |
    | `invalid` | is feedback without a score or flag, or breaks while it is read |
    | `closed` | was logged after `Client.close` |
    | `fault` | was in flight when the sender had a fault of its own; a spool sends it at the next start |
    | `rejected:<code>` | was refused by the server: with its code, or `http_<status>` |

    Two codes are our own: `not_encodable`, no JSON can hold the event, and `bad_outcome`, the transport does
    not say what became of it.
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
        # Why the attempt before this moment failed; empty when it did not.
        self.last_trouble = ""
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
            self.last_trouble = ""

    def count_truncated(self) -> None:
        """Count one event that goes without all of its content."""
        with self._lock:
            self.truncated += 1

    def count_dropped(self, reason: str, event_id: str, message: str) -> None:
        """Count one event that will never arrive, and say so."""
        with self._lock:
            _count(self.dropped, reason)
            self._failures.append(f"{event_id}: {reason}: {message}")
        self.say(reason, f"phospho: event {event_id} is dropped ({reason}): {message}")

    def count_retried(self, code: str, number: int, message: str) -> None:
        """Count one attempt for *number* events that is to be made again."""
        with self._lock:
            _count(self.retried, code)
            self.last_trouble = f"{code}: {message}"
        self.say(code, f"phospho: {number} event(s) are to be sent again ({code}): {message}")

    def count_error(self, place: str, error: BaseException) -> None:
        """Count a fault that was kept from the app."""
        with self._lock:
            _count(self.errors, place)
        self.say(place, f"phospho: {place} failed, and the app goes on: {described(error)}")

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

    def say(self, subject: str, text: str) -> None:
        """Log *text* as a warning, unless *subject* was spoken of a moment ago. Never under our lock."""
        now = self._clock()
        with self._lock:
            if now - self._said_at.get(subject, float("-inf")) < SAY_AGAIN_AFTER_S:
                return
            if subject not in self._said_at and len(self._said_at) >= MAX_REASONS:
                del self._said_at[next(iter(self._said_at))]
            self._said_at[subject] = now
        logger.warning("%s", text)


def shown(text: str) -> str:
    """Return foreign *text* as a log may hold it: cut, and as its `repr` where it cannot be printed."""
    cut = text if len(text) <= MAX_SHOWN_CHARACTERS else f"{text[:MAX_SHOWN_CHARACTERS]}…"
    return cut if cut.isprintable() else repr(cut)


def described(error: BaseException) -> str:
    """Return an exception's type and text, cut. Never raises, whatever its `__str__` does."""
    try:
        text = str(error)[:MAX_ERROR_CHARACTERS]
    except Exception:  # the app's own `__str__`
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _count(counts: dict[str, int], reason: str) -> None:
    """Add one to *reason*, or to OTHER where there are too many."""
    reason = reason[:MAX_REASON_CHARACTERS]
    if reason not in counts and len(counts) >= MAX_REASONS:
        reason = OTHER
    counts[reason] = counts.get(reason, 0) + 1
