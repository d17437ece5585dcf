"""One file of the spool: events as lines of JSON, and beside it the numbers of the settled ones."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from .._content.json_values import encode

__all__ = ["Record", "Segment"]

_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
# Bytes read at once, from the end, to find where a torn line begins.
_BLOCK_BYTES = 64 * 1024


class _DiskFullError(OSError):
    """Nothing was written. The file is unchanged."""


class Record(NamedTuple):
    """Position of one event: its number in the segment, and its bytes in the file."""

    number: int
    offset: int
    length: int


class Segment:
    """
    An append-only file, owned by the process that holds its lock.

    A write is one system call and is not synced: it survives the end of the process (SIGKILL too), but not a loss
    of power.
    """

    def __init__(self, path: Path) -> None:
        """Create or open the file and lock it. Raises BlockingIOError if another process holds the lock."""
        self.path = path
        self._done_path = path.with_suffix(".done")
        self._file = os.open(path, _FLAGS, 0o600)
        try:
            self._lock()
            self._done = os.open(self._done_path, _FLAGS, 0o600)
        except OSError:
            os.close(self._file)
            raise
        self.size_bytes = os.fstat(self._file).st_size
        self.is_broken = False
        self._live: set[int] = set()
        self._next_number = 0

    def _lock(self) -> None:
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if self._is_deleted():
            # Another process has taken it over and removed it after we opened it.
            raise BlockingIOError(f"{self.path} was removed by another process")

    def _is_deleted(self) -> bool:
        return os.fstat(self._file).st_nlink == 0

    @property
    def is_settled(self) -> bool:
        """True if every event in it is settled."""
        return not self._live

    def append(self, event_id: str, kind: str, content: dict[str, Any]) -> Record:
        """
        Write one event. Raises OSError and leaves the file unchanged if the disk is full.

        If the file was deleted or is damaged, `is_broken` is true afterwards: write to another segment.
        """
        line = encode([self._next_number, kind, event_id, content]) + b"\n"
        self.is_broken = True
        if self._is_deleted():
            raise OSError(f"{self.path} was deleted")
        try:
            _append(self._file, line, self.size_bytes)
        except _DiskFullError:
            self.is_broken = False
            raise
        self.is_broken = False
        record = Record(self._next_number, self.size_bytes, len(line))
        self.size_bytes += len(line)
        self._live.add(record.number)
        self._next_number += 1
        return record

    def read(self, record: Record) -> tuple[str, str, dict[str, Any]]:
        """Return id, kind and content of an event."""
        _, kind, event_id, content = json.loads(os.pread(self._file, record.length, record.offset))
        return event_id, kind, content

    def settle(self, numbers: Iterable[int]) -> None:
        """Mark the events of these *numbers* as settled. When all are, empty the file."""
        settled = [number for number in numbers if number in self._live]
        if not settled:
            return
        self._live.difference_update(settled)
        if self._live:
            lines = b"".join([b"%d\n" % number for number in settled])
            _append(self._done, lines, os.fstat(self._done).st_size)
            return
        # Empty the events first: a crash in between must not leave an event whose number is forgotten.
        os.ftruncate(self._file, 0)
        os.ftruncate(self._done, 0)
        self.size_bytes = 0

    def recover(self) -> list[Record]:
        """
        Return the unsettled events of a process that ended: the last record of each, in their order.

        A line torn by a full disk or a crash is skipped. A torn last line is cut off, so that the next line does
        not continue it.
        """
        self.size_bytes = _cut_torn_end(self._file)
        _cut_torn_end(self._done)
        done = {int(line) for line in self._done_path.read_bytes().split() if line.isdigit()}
        latest: dict[str, Record] = {}
        for record, event_id in self._scan():
            self._next_number = max(self._next_number, record.number + 1)
            if record.number not in done:
                latest.pop(event_id, None)
                latest[event_id] = record
        self._live = {record.number for record in latest.values()}
        return list(latest.values())

    def _scan(self) -> Iterator[tuple[Record, str]]:
        offset = 0
        with self.path.open("rb") as lines:
            for line in lines:
                try:
                    number, _kind, event_id, _content = json.loads(line)
                    yield Record(int(number), offset, len(line)), str(event_id)
                except (ValueError, TypeError, RecursionError):
                    pass
                offset += len(line)

    def remove(self) -> None:
        """Delete the files and release the lock."""
        self.path.unlink(missing_ok=True)
        self._done_path.unlink(missing_ok=True)
        self.release()

    def release(self) -> None:
        """Close the files. In a forked child this leaves the parent's lock in place."""
        os.close(self._file)
        os.close(self._done)


def _append(file: int, data: bytes, size_bytes: int) -> None:
    """
    Write all of *data* to the end of *file*, which has *size_bytes*, or nothing.

    Raises `_DiskFullError`, or another OSError if a part of it may remain in the file.
    """
    try:
        if os.write(file, data) == len(data):
            return
        reason: OSError | str = "only a part was written"
    except OSError as error:
        reason = error
    os.ftruncate(file, size_bytes)
    raise _DiskFullError(f"the spool's disk is full: {reason}")


def _cut_torn_end(file: int) -> int:
    """Cut off the bytes after the last line break of *file*, and return its size."""
    size_bytes = end = os.fstat(file).st_size
    while end > 0:
        begin = max(0, end - _BLOCK_BYTES)
        line_break = os.pread(file, end - begin, begin).rfind(b"\n")
        if line_break >= 0:
            end = begin + line_break + 1
            break
        end = begin
    if end < size_bytes:
        os.ftruncate(file, end)
    return end
