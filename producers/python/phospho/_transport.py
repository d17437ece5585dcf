"""The seam between the sender and what carries its events: one method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ._queue import Event

__all__ = ["Outcome", "Transport"]


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

        An exception counts as "retry" for all of them, so raising is safe and loses nothing.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Give back what the transport holds. Called once, after the last `send`."""

    def after_fork(self) -> None:
        """Forget, without closing, what belongs to the parent process. Called in the child."""
