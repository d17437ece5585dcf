"""Flushes: what a caller of `flush` waits for, and the result it gets."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import NamedTuple

from .queue import Event
from .transport import Outcome

__all__ = ["Flush", "FlushResult"]


class FlushResult(NamedTuple):
    """
    Ids of the events that a flush has `sent`, of those `rejected` (with the reason), and of those still `pending`.

    `spooled` counts the events that are on disk only, because memory is full.
    """

    sent: tuple[str, ...]
    rejected: tuple[tuple[str, str], ...]
    pending: tuple[str, ...]
    spooled: int = 0

    @property
    def is_complete(self) -> bool:
        """True if every queued event has been sent."""
        return not (self.rejected or self.pending or self.spooled)

    def followed_by(self, later: FlushResult) -> FlushResult:
        """Return both results as one."""
        return FlushResult(self.sent + later.sent, self.rejected + later.rejected, later.pending)


class Flush:
    """One call of `flush`, waiting for its ids. The sender calls `settle` under its lock."""

    def __init__(self, ids: Sequence[str]) -> None:
        self.pending: set[str] = set(ids)
        self.done = threading.Event()
        self._ids = ids
        self._outcomes: dict[str, Outcome] = {}

    def settle(self, settled: Sequence[tuple[Event, Outcome]]) -> None:
        """Note the outcomes of this flush's events. The last one sets `done`."""
        for event, outcome in settled:
            if event.id in self.pending:
                self.pending.discard(event.id)
                self._outcomes[event.id] = outcome
        if not self.pending:
            self.done.set()

    def result(self) -> FlushResult:
        """Return the outcomes so far, in the order in which the events were logged."""
        outcomes = [(id, self._outcomes[id]) for id in self._ids if id in self._outcomes]
        return FlushResult(
            sent=tuple(id for id, outcome in outcomes if outcome.status == "accepted"),
            rejected=tuple(
                (id, f"{outcome.code}: {outcome.message}") for id, outcome in outcomes if outcome.status != "accepted"
            ),
            pending=tuple(id for id in self._ids if id not in self._outcomes),
        )
