"""The seam between the sender and what carries its events: one method."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from ._queue import Event

__all__ = ["Outcome", "Transport", "checked_outcomes"]

_STATUSES = ("accepted", "rejected", "retry")


class Outcome(NamedTuple):
    """
    What became of one event: "accepted", "rejected" (it never will be) or "retry" (it may yet be).

    `code` and `message` say why; `retry_after_s` is how long the receiver asked to wait.
    """

    status: str
    code: str = ""
    message: str = ""
    retry_after_s: float | None = None

    @classmethod
    def accepted(cls) -> Outcome:
        """Return the outcome of an event that has arrived."""
        return cls("accepted")

    @classmethod
    def rejected(cls, code: str, message: str) -> Outcome:
        """Return the outcome of an event that the receiver will never take."""
        return cls("rejected", code, message)

    @classmethod
    def retry(cls, code: str, message: str, retry_after_s: float | None = None) -> Outcome:
        """Return the outcome of an event that may be taken later."""
        return cls("retry", code, message, retry_after_s)


class Transport:
    """
    Base of transports. Subclass it and override `send`; nothing else is needed.

    It is used by one thread at a time, and made anew in a forked child by `after_fork`.
    """

    def send(self, events: Sequence[Event]) -> list[Outcome]:
        """
        Send *events* and return their outcomes in the same order. May block.

        An exception counts as "retry" for all of them, so raising is safe and loses nothing. What is no
        `Outcome` counts as "rejected", code "bad_outcome": nobody can say what became of the event.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Give back what the transport holds. Called once, after the last `send`."""

    def after_fork(self) -> None:
        """Forget, without closing, what belongs to the parent process. Called in the child."""


def checked_outcomes(answer: Any, expected: int) -> list[Outcome]:
    """Return what `send` returned for *expected* events, with "bad_outcome" where it is nonsense."""
    if not isinstance(answer, (list, tuple)) or len(answer) != expected:
        return [_bad(f"send() returned a {type(answer).__name__}, not {expected} outcomes")] * expected
    return [_checked(outcome) for outcome in answer]


def _checked(outcome: Any) -> Outcome:
    if type(outcome) is not Outcome:
        return _bad(f"send() returned a {type(outcome).__name__} as an outcome")
    if outcome.status not in _STATUSES or type(outcome.code) is not str or type(outcome.message) is not str:
        return _bad("send() returned an outcome with a status, code or message that none has")
    wait_s = outcome.retry_after_s
    if wait_s is not None and not (type(wait_s) in (int, float) and math.isfinite(wait_s)):
        return _bad("send() returned an outcome with a retry_after_s that is no number of seconds")
    return outcome


def _bad(message: str) -> Outcome:
    return Outcome.rejected("bad_outcome", message)
