"""A bounded folder of segments that keeps what is not yet sent through the end of the process."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from ._counters import logger
from ._ids import new_id
from ._queue import Event
from ._segment import Record, Segment

__all__ = ["Receipt", "Spool"]

SEGMENT_BYTES = 8 * 1024 * 1024


class Receipt(NamedTuple):
    """Where an event is kept."""

    segment: Segment
    record: Record


class Spool:
    """
    Keeps each event from the time it is logged until it is settled, and what the queue had no room for.

    A process that starts takes over the segments of those that ended; segments of living processes are
    locked, so several may share a folder. Thread-safe. Raises OSError, which the caller counts.
    """

    def __init__(self, folder: str, max_bytes: int) -> None:
        self._folder = Path(folder)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._max_bytes = max_bytes
        self._lock = threading.RLock()
        self._segments: list[Segment] = []
        self._backlog: deque[Receipt] = deque()
        for path in sorted(self._folder.glob("*.events")):
            self._take_over(path)

    @property
    def deferred(self) -> int:
        """How many events are on disk only."""
        return len(self._backlog)

    @property
    def size_bytes(self) -> int:
        """What the segments of this process take on disk."""
        return sum(segment.size_bytes for segment in self._segments)

    def keep(self, event: Event) -> None:
        """Write *event*. Raises OSError when the spool, or its disk, is full."""
        with self._lock:
            if self.size_bytes + event.size_bytes > self._max_bytes:
                raise OSError(f"the spool has reached its {self._max_bytes} bytes")
            event.receipts.append(self._written(event))

    def defer(self, event: Event) -> None:
        """Put *event*, which is kept, at the end of what is read back when the queue has room."""
        with self._lock:
            self._backlog.append(event.receipts[-1])

    def next_event(self) -> Event | None:
        """Return the oldest event that is on disk only, or None."""
        with self._lock:
            while self._backlog:
                receipt = self._backlog.popleft()
                try:
                    event_id, kind, content = receipt.segment.read(receipt.record)
                except (OSError, ValueError, RecursionError):
                    receipt.segment.settle([receipt.record.number])
                    continue
                event = Event(event_id, content, kind=kind)
                event.receipts.append(receipt)
                return event
            return None

    def put_back(self, event: Event) -> None:
        """Undo `next_event`."""
        with self._lock:
            self._backlog.appendleft(event.receipts[-1])

    def settle(self, events: Iterable[Event]) -> None:
        """Note that *events* are done with, and delete the segments that this leaves without any."""
        numbers: dict[Segment, list[int]] = {}
        for event in events:
            for segment, record in event.receipts:
                numbers.setdefault(segment, []).append(record.number)
        with self._lock:
            failure: OSError | None = None
            for segment, done in numbers.items():
                try:
                    segment.settle(done)
                except OSError as error:  # its events are sent again by the next process, under their ids
                    failure = error
            self._remove_settled(except_for=self._segments[-1] if self._segments else None)
        if failure is not None:
            raise failure

    def close(self) -> None:
        """Leave what is unsettled to the next process; delete the rest."""
        with self._lock:
            self._remove_settled(except_for=None)
            for segment in self._segments:
                segment.release()
            self._segments.clear()
            self._backlog.clear()

    def after_fork(self) -> None:
        """Leave all to the parent. Called in the child, which begins a segment of its own."""
        self._lock = threading.RLock()
        for segment in self._segments:
            segment.release()
        self._segments = []
        self._backlog = deque()

    def _written(self, event: Event) -> Receipt:
        """Write *event*, to a new segment where the last one has broken."""
        segment = self._active_segment()
        try:
            record = segment.append(event.id, event.kind, event.to_send())
        except OSError:
            if not segment.is_broken:
                raise
            segment = self._active_segment()
            record = segment.append(event.id, event.kind, event.to_send())
        return Receipt(segment, record)

    def _active_segment(self) -> Segment:
        last = self._segments[-1] if self._segments else None
        if last is not None and not last.is_broken and last.size_bytes < SEGMENT_BYTES:
            return last
        # Anew each time: the folder may have been deleted under us.
        self._folder.mkdir(parents=True, exist_ok=True)
        segment = Segment(self._folder / f"{new_id()}.events")
        self._segments.append(segment)
        return segment

    def _take_over(self, path: Path) -> None:
        try:
            segment = Segment(path)
            records = segment.recover()
        except BlockingIOError:  # its process lives
            return
        except OSError as error:
            logger.warning("phospho: %s can not be read, and stays where it is: %s", path, error)
            return
        if records:
            self._segments.append(segment)
            self._backlog.extend(Receipt(segment, record) for record in records)
        else:
            segment.remove()

    def _remove_settled(self, except_for: Segment | None) -> None:
        for segment in list(self._segments):
            if segment.is_settled and segment is not except_for:
                segment.remove()
                self._segments.remove(segment)
