"""One file of the spool: events as lines of JSON, beside it the numbers of those that are done with."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ._jsonable import encode

__all__ = ["Record", "Segment"]

_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
# How much is looked at, from the end, for where a torn line begins.
_BLOCK_BYTES = 64 * 1024


class _DiskFullError(OSError):
    """Nothing was written, and the file is as it was."""


class Record(NamedTuple):
    """Where one event lies: the number it has in its segment, and the bytes it takes there."""

    number: int
    offset: int
    length: int


class Segment:
    """
    An append-only file that belongs to the process which holds its lock.

    A write is one system call and is not synced: it outlives the process (SIGKILL too), not a loss of power.
    """

    def __init__(self, path: Path) -> None:
        """Create or open the file and lock it. Raises BlockingIOError when another process holds it."""
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
            # Another process took it over and removed it between our opening and our locking it.
            raise BlockingIOError(f"{self.path} was removed by another process")

    def _is_deleted(self) -> bool:
        return os.fstat(self._file).st_nlink == 0

    @property
    def is_settled(self) -> bool:
        """Whether nothing in it waits any more."""
        return not self._live

    def append(self, event_id: str, kind: str, content: dict[str, Any]) -> Record:
        """
        Write one event. Raises OSError, and leaves the file as it was, when the disk is full.

        Where nothing more can be written here, because the file was deleted or could not be mended,
        `is_broken` is true afterwards: another segment may do.
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
        """Note that the events of these *numbers* are done with; once all are, the file becomes empty."""
        done = [number for number in numbers if number in self._live]
        if not done:
            return
        self._live.difference_update(done)
        if self._live:
            numbers_done = b"".join([b"%d\n" % number for number in done])
            _append(self._done, numbers_done, os.fstat(self._done).st_size)
            return
        # The events first: a crash in between must leave no event whose number is forgotten.
        os.ftruncate(self._file, 0)
        os.ftruncate(self._done, 0)
        self.size_bytes = 0

    def recover(self) -> list[Record]:
        """
        Return what a process that ended has left unsettled: of each event the last record, in their order.

        A line that was torn by a full disk or a crash is skipped; one at the end is cut off, so that it does
        not run into what is written next.
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
        """Delete the files and give the lock back."""
        self.path.unlink(missing_ok=True)
        self._done_path.unlink(missing_ok=True)
        self.release()

    def release(self) -> None:
        """Close the files. In a forked child this leaves the parent's lock in place."""
        os.close(self._file)
        os.close(self._done)


def _append(file: int, data: bytes, size_bytes: int) -> None:
    """
    Write *data* to the end of *file*, which has *size_bytes*, as a whole or not at all.

    Raises `_DiskFullError`, or another OSError where a part of it may have been written for good.
    """
    try:
        if os.write(file, data) == len(data):
            return
        reason: OSError | str = "a part was written"
    except OSError as error:
        reason = error
    os.ftruncate(file, size_bytes)
    raise _DiskFullError(f"the spool's disk takes no more: {reason}")


def _cut_torn_end(file: int) -> int:
    """Cut off what follows the last line break of *file*, and return the bytes that are left."""
    size_bytes = end = os.fstat(file).st_size
    while end > 0:
        begin = max(0, end - _BLOCK_BYTES)
        at = os.pread(file, end - begin, begin).rfind(b"\n")
        if at >= 0:
            end = begin + at + 1
            break
        end = begin
    if end < size_bytes:
        os.ftruncate(file, end)
    return end
