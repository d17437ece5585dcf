"""The bounded queue between the app's threads and the sender."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import Any

from .._content.json_values import approximate_bytes, encode
from .._shapes.masking import Mask, masked_log
from ..config import Limits
from .sender_thread import SenderThread

__all__ = ["Event", "LogQueue"]

LOG = "log"
FEEDBACK = "feedback"
LABEL = "label"


class Event:
    """
    One log, feedback or label to send.

    `content` is the dict that will be sent. `to_log` is False while a stream still adds to it.
    """

    __slots__ = ("content", "id", "kind", "mask", "receipts", "size_bytes", "to_log")

    def __init__(self, id: str, content: dict[str, Any], to_log: bool = True, kind: str = LOG) -> None:
        self.id = id
        self.content = content
        self.to_log = to_log
        self.kind = kind
        # Set when it is queued. What a spool has was masked already.
        self.mask: Mask | None = None
        # Where the spool holds it: one receipt for each time that it was logged.
        self.receipts: list[Any] = []
        self.size_bytes = approximate_bytes(content)

    def __repr__(self) -> str:
        return f"Event(id={self.id!r}, kind={self.kind!r}, to_log={self.to_log})"

    def shrink(self) -> None:
        """Remove the raw fields. The texts, which are analysed, stay."""
        for name in ("raw_input", "raw_output"):
            if name in self.content:
                self.content[name] = None
        self.size_bytes = approximate_bytes(self.content)

    def to_send(self) -> dict[str, Any]:
        """Return the content as it is sent: masked, and without raw fields that only repeat their text."""
        repeated = [f"raw_{side}" for side in ("input", "output") if _repeats(self.content, side)]
        sent = {key: value for key, value in self.content.items() if key not in repeated}
        return masked_log(sent, self.mask) if self.mask is not None else sent

    def encoded(self) -> bytes:
        """Return the content as it is sent, as one JSON object."""
        return encode(self.to_send())


def _repeats(content: dict[str, Any], side: str) -> bool:
    raw = content.get("raw_" + side)
    return isinstance(raw, str) and raw == content.get(side)


class LogQueue:
    """
    Events by id, in the order they were logged, within `Limits`.

    A queued event is never dropped: when the queue is full, the new event is refused. Thread-safe. The lock is
    re-entrant, so a `log` in a signal handler or a finalizer cannot deadlock.
    """

    def __init__(self, limits: Limits, thread: SenderThread) -> None:
        self.events: dict[str, Event] = {}
        self.limits = limits
        self._thread = thread
        self._in_flight: dict[str, Event] = {}
        self._held_bytes = 0
        self._ready = 0
        self._ready_since_s = 0.0
        self._flushes_active = 0
        self.flushes_begun = 0
        self._is_closed = False
        self._is_abandoned = False

    @property
    def changed(self) -> threading.Condition:
        """The lock, which is that of the thread that sends the events."""
        return self._thread.changed

    def __len__(self) -> int:
        """Return the number of events held, in flight included."""
        return len(self.events) + len(self._in_flight)

    @property
    def held_bytes(self) -> int:
        """The estimated size of all events held, in flight included."""
        return self._held_bytes

    def append(self, event: Event) -> bool:
        """Add *event* and return True, or return False if the queue is full. Does not block."""
        with self.changed:
            if self.is_full(event.size_bytes):
                return False
            self.discard(event.id)
            self.events[event.id] = event
            self._held_bytes += event.size_bytes
            if event.to_log:
                self._mark_ready()
            return True

    def is_full(self, size_bytes: int = 0) -> bool:
        """Return whether one more event of *size_bytes* would exceed the limits."""
        limits = self.limits
        return len(self) >= limits.queue_events or self._held_bytes + size_bytes > limits.queue_bytes

    def grow(self, event: Event, added_bytes: int, to_log: bool) -> None:
        """Note that a queued event has grown by *added_bytes*, and set its `to_log`."""
        with self.changed:
            event.size_bytes += added_bytes
            self._held_bytes += added_bytes
            if to_log and not event.to_log:
                event.to_log = True
                self._mark_ready()
            elif event.to_log and not to_log:
                event.to_log = False
                self._ready -= 1

    def discard(self, event_id: str) -> Event | None:
        """Remove a waiting event and return it. Return None if it is in flight or unknown."""
        with self.changed:
            event = self.events.pop(event_id, None)
            if event is not None:
                self._held_bytes -= event.size_bytes
                self._ready -= event.to_log
            return event

    def complete_all(self) -> None:
        """Mark every unfinished stream as complete, so that its chunks so far are sent."""
        with self.changed:
            for event in list(self.events.values()):
                if not event.to_log:
                    self.grow(event, 0, to_log=True)

    def ids_to_send(self) -> list[str]:
        """Return the ids of all events but those of unfinished streams, in flight included."""
        with self.changed:
            # A copy: a signal handler or a finalizer may log in the middle, on this very thread.
            waiting = [event.id for event in list(self.events.values()) if event.to_log]
            return list(dict.fromkeys([*self._in_flight, *waiting]))

    def take(self) -> list[Event]:
        """Move the oldest complete events, up to one batch's limits, in flight and return them."""
        with self.changed:
            batch = self._oldest_batch()
            for event in batch:
                del self.events[event.id]
                self._in_flight[event.id] = event
            self._ready -= len(batch)
            self._ready_since_s = time.monotonic()
            return batch

    def _oldest_batch(self) -> list[Event]:
        batch: list[Event] = []
        size_bytes = 0
        for event in list(self.events.values()):
            if not event.to_log or event.id in self._in_flight:
                continue
            size_bytes += event.size_bytes
            if batch and size_bytes > self.limits.batch_bytes:
                break
            batch.append(event)
            if len(batch) >= self.limits.batch_events:
                break
        return batch

    def in_flight(self) -> list[Event]:
        """Return the events that were taken and not yet settled."""
        with self.changed:
            return list(self._in_flight.values())

    def settle(self, events: Iterable[Event]) -> None:
        """Remove events in flight: they have arrived, or never will."""
        with self.changed:
            held = [event for event in events if self._in_flight.pop(event.id, None) is not None]
            self._held_bytes -= sum(event.size_bytes for event in held)

    def due_at(self, linger_s: float) -> float | None:
        """
        Return when the next batch is due, on the monotonic clock. None if nothing is complete.

        A batch is due when it is full, *linger_s* after its first event, while a flush waits, and on `close`.
        """
        if not self._ready:
            return None
        return 0.0 if self._is_due() else self._ready_since_s + linger_s

    def _is_due(self) -> bool:
        return self._flushes_active > 0 or self._is_closed or self._ready >= self.limits.batch_events

    def begin_flush(self) -> None:
        """Make batches due at once, until `end_flush`."""
        with self.changed:
            self._flushes_active += 1
            self.flushes_begun += 1
            self.changed.notify_all()

    def end_flush(self) -> None:
        """Let batches fill again."""
        with self.changed:
            self._flushes_active -= 1

    def close(self) -> None:
        """End the sender when every event has been settled."""
        with self.changed:
            self._is_closed = True
            self.changed.notify_all()

    def abandon(self) -> None:
        """End the sender after its current attempt."""
        with self.changed:
            self._is_abandoned = True
            self.close()

    @property
    def has_ready_events(self) -> bool:
        """True while a complete event waits, unless the queue is abandoned."""
        return self._ready > 0 and not self._is_abandoned

    @property
    def is_closed(self) -> bool:
        """True after `close` or `abandon`."""
        return self._is_closed

    @property
    def is_abandoned(self) -> bool:
        """True after `abandon`."""
        return self._is_abandoned

    def _mark_ready(self) -> None:
        self._ready += 1
        if self._ready == 1:
            self._ready_since_s = time.monotonic()
        if self._ready == self.limits.batch_events:
            self.changed.notify_all()
