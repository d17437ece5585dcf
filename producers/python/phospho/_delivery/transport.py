"""The interface between the sender and the network: one method."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from .queue import Event

__all__ = ["Outcome", "Transport", "checked_outcomes"]

_STATUSES = ("accepted", "rejected", "retry")


class Outcome(NamedTuple):
    """
    Result of sending one event: "accepted", "rejected" (for good) or "retry" (try again later).

    `code` and `message` hold the reason, `retry_after_s` the wait that the receiver asked for.
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
        """Return the outcome of an event that the receiver will never accept."""
        return cls("rejected", code, message)

    @classmethod
    def retry(cls, code: str, message: str, retry_after_s: float | None = None) -> Outcome:
        """Return the outcome of an event that the receiver may accept later."""
        return cls("retry", code, message, retry_after_s)


class Transport:
    """
    Base class of transports. Subclass it and override `send`.

    One thread at a time uses it. In a forked child `after_fork` is called before anything else. Transports with the
    same `destination` send to the same receiver, so one may send what another has left. Those whose `destination`
    begins alike share a thread. None: a receiver and a thread of its own.
    """

    destination: tuple[str, ...] | None = None

    def send(self, events: Sequence[Event]) -> list[Outcome]:
        """
        Send *events* and return their outcomes in the same order. May block.

        An exception counts as "retry" for all of them, so raising loses no event. Anything but an `Outcome`
        counts as "rejected" with the code "bad_outcome".
        """
        raise NotImplementedError

    def close(self) -> None:
        """Release connections and threads. Called once, after the last `send`."""

    def after_fork(self) -> None:
        """Drop the parent process's connections without closing them. Called in a forked child."""


def checked_outcomes(answer: Any, expected: int) -> list[Outcome]:
    """Return the answer of `send` for *expected* events, with "bad_outcome" in place of invalid ones."""
    if not isinstance(answer, (list, tuple)) or len(answer) != expected:
        return [_bad_outcome(f"send() returned a {type(answer).__name__}, not {expected} outcomes")] * expected
    return [_checked(outcome) for outcome in answer]


def _checked(outcome: Any) -> Outcome:
    if type(outcome) is not Outcome:
        return _bad_outcome(f"send() returned a {type(outcome).__name__} as an outcome")
    if outcome.status not in _STATUSES or type(outcome.code) is not str or type(outcome.message) is not str:
        return _bad_outcome("send() returned an outcome with an invalid status, code or message")
    wait_s = outcome.retry_after_s
    if wait_s is not None and not (type(wait_s) in (int, float) and math.isfinite(wait_s)):
        return _bad_outcome("send() returned an outcome whose retry_after_s is no number of seconds")
    return outcome


def _bad_outcome(message: str) -> Outcome:
    return Outcome.rejected("bad_outcome", message)
