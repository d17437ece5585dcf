"""A transport for tests: it keeps what it is given and sends nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Callable

from ._queue import FEEDBACK, LABEL, LOG, Event
from ._transport import Outcome, Transport

__all__ = ["RecordingTransport"]


class RecordingTransport(Transport):
    """
    Keeps every event that it accepts, in order, as the dicts that would have been sent.

    *answer* decides the outcome of each event, to rehearse a server's refusals; the default accepts.

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
        """Keep the accepted events. `attempts` counts the calls."""
        self.attempts += 1
        outcomes = [self._answer(event) for event in events]
        kept = {LOG: self.logs, FEEDBACK: self.feedback, LABEL: self.labels}
        for event, outcome in zip(events, outcomes):
            if outcome.status == "accepted":
                kept[event.kind].append(event.to_send())
        return outcomes

    def clear(self) -> None:
        """Forget what was kept."""
        self.logs.clear()
        self.feedback.clear()
        self.labels.clear()
        self.attempts = 0


def _accept(event: Event) -> Outcome:
    return Outcome.accepted()
