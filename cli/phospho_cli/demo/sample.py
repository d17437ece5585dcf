"""The demo's past as messages, for the server that writes sample data."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from phospho_dashboard.projects.sample_data import SampleBatch, SampleSource
from phospho_gateway.intake.events import Envelope, EventReader
from phospho_gateway.intake.feedback import FeedbackReader
from phospho_schemas.ids import HybridClock
from phospho_schemas.times import utc_now
from phospho_schemas.topics import Keyed

if TYPE_CHECKING:
    from phospho_cli.demo.conversations import DemoTask

_BATCH_TASKS = 1000


def sample_source(clock: HybridClock) -> SampleSource:
    """Return the generator of sample data; its messages are stamped by `clock` as the gateway stamps those it takes."""
    return SampleSource(_definitions, partial(_batches, clock))


def _definitions() -> list[dict[str, Any]]:
    # Imported here and below: reading the script takes a tenth of a second of each start.
    from phospho_cli.demo.script import DEFINITIONS

    return DEFINITIONS


def _batches(clock: HybridClock, project_id: str, days: int) -> Iterator[SampleBatch]:
    from phospho_cli.demo.history import past_tasks

    now = utc_now()
    writer = _Writer(clock, Envelope(project_id, "batch", now))
    for task in past_tasks(days, now):
        writer.add(task)
        if writer.tasks >= _BATCH_TASKS:
            yield writer.take_batch()
    if writer.tasks:
        yield writer.take_batch()


class _Writer:
    """Collects the messages of one batch."""

    def __init__(self, clock: HybridClock, envelope: Envelope) -> None:
        self._events = EventReader(clock, "sample-data")
        self._feedback_reader = FeedbackReader(clock)
        self._envelope = envelope
        self._start()

    def add(self, task: DemoTask) -> None:
        """Add a task and the feedback on it."""
        event = task.event | {"client_created_at": task.at_s}
        self._messages.append(self._events.read(event, self._envelope, 0).keyed)
        self.tasks += 1
        self._sessions += task.is_first
        if task.feedback is not None:
            body = task.feedback.body | {"client_created_at": task.feedback.at_s}
            self._messages.append(self._feedback_reader.read(task.feedback.task_id, body, self._envelope).keyed)
            self._feedback += 1

    def take_batch(self) -> SampleBatch:
        """Return the batch and begin the next."""
        batch = SampleBatch(self._messages, self.tasks, self._sessions, self._feedback)
        self._start()
        return batch

    def _start(self) -> None:
        self._messages: list[Keyed] = []
        self.tasks = self._sessions = self._feedback = 0
