"""A bounded folder of segments that keeps unsent events when the process ends or crashes."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from .._ids import new_id
from .._logger import logger
from .queue import Event
from .segment import Record, Segment

__all__ = ["Receipt", "Spool"]

SEGMENT_BYTES = 8 * 1024 * 1024


class Receipt(NamedTuple):
    """Segment and record of one stored event."""

    segment: Segment
    record: Record


class Spool:
    """
    Stores each event from the time it is logged until it is settled, and events that the queue has no room for.

    A process that starts takes over the segments of those that ended. Segments of live processes are locked, so
    several processes may share a folder. Thread-safe. Raises OSError, which the caller counts.
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
        """Number of events that are on disk only."""
        return len(self._backlog)

    @property
    def size_bytes(self) -> int:
        """Size of this process's segments on disk."""
        return sum(segment.size_bytes for segment in self._segments)

    def store(self, event: Event) -> None:
        """Write *event* to disk. Raises OSError if the spool or its disk is full."""
        with self._lock:
            if self.size_bytes + event.size_bytes > self._max_bytes:
                raise OSError(f"the spool has reached its {self._max_bytes} bytes")
            event.receipts.append(self._written(event))

    def defer(self, event: Event) -> None:
        """Leave a stored *event* on disk only. `next_event` returns it once the queue has room."""
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
        """Mark *events* as settled, and delete the segments that have no other."""
        numbers: dict[Segment, list[int]] = {}
        for event in events:
            for segment, record in event.receipts:
                numbers.setdefault(segment, []).append(record.number)
        with self._lock:
            failure: OSError | None = None
            for segment, settled in numbers.items():
                try:
                    segment.settle(settled)
                except OSError as error:  # the next process sends its events again, under their ids
                    failure = error
            self._remove_settled(except_for=self._segments[-1] if self._segments else None)
        if failure is not None:
            raise failure

    def close(self) -> None:
        """Delete the settled segments, and leave the others to the next process."""
        with self._lock:
            self._remove_settled(except_for=None)
            for segment in self._segments:
                segment.release()
            self._segments.clear()
            self._backlog.clear()

    def after_fork(self) -> None:
        """Leave the segments to the parent. Called in the child, which begins its own."""
        self._lock = threading.RLock()
        for segment in self._segments:
            segment.release()
        self._segments = []
        self._backlog = deque()

    def _written(self, event: Event) -> Receipt:
        """Write *event*, to a new segment if the last one is broken."""
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
        # Each time: the folder may have been deleted.
        self._folder.mkdir(parents=True, exist_ok=True)
        segment = Segment(self._folder / f"{new_id()}.events")
        self._segments.append(segment)
        return segment

    def _take_over(self, path: Path) -> None:
        try:
            segment = Segment(path)
            records = segment.recover()
        except BlockingIOError:  # its process is alive
            return
        except OSError as error:
            logger.warning(
                "phospho: %s can not be read: %s. Its events are not sent. Check the file's permissions.",
                path,
                error,
            )
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
