"""The transport for tests: it records events and sends nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Callable

from .queue import FEEDBACK, LABEL, LOG, Event
from .transport import Outcome, Transport

__all__ = ["RecordingTransport"]


class RecordingTransport(Transport):
    """
    Records every event that it accepts, in order, as the dicts that would have been sent.

    *answer* returns the outcome of each event, to simulate a server that refuses. The default accepts all.

    ```python
    transport = phospho.RecordingTransport()
    phospho.init(transport=transport)
    my_app.answer("Hello")
    phospho.flush()
    assert transport.logs[0]["input"] == "Hello"
    ```
    """

    def __init__(self, answer: Callable[[Event], Outcome] | None = None) -> None:
        self.logs: list[dict[str, Any]] = []
        self.feedback: list[dict[str, Any]] = []
        self.labels: list[dict[str, Any]] = []
        self.attempts = 0
        self._answer = answer or _accept

    def send(self, events: Sequence[Event]) -> list[Outcome]:
        """Record the accepted events. `attempts` counts the calls."""
        self.attempts += 1
        outcomes = [self._answer(event) for event in events]
        records = {LOG: self.logs, FEEDBACK: self.feedback, LABEL: self.labels}
        for event, outcome in zip(events, outcomes):
            if outcome.status == "accepted":
                records[event.kind].append(event.to_send())
        return outcomes

    def clear(self) -> None:
        """Remove all records, and set `attempts` to 0."""
        self.logs.clear()
        self.feedback.clear()
        self.labels.clear()
        self.attempts = 0


def _accept(event: Event) -> Outcome:
    return Outcome.accepted()
