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
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._file = os.open(path, flags, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._file)
            raise
        if os.fstat(self._file).st_nlink == 0:
            # Another process took it over and removed it between our opening and our locking it.
            os.close(self._file)
            raise BlockingIOError(f"{path} was removed by another process")
        self._done = os.open(self._done_path, flags, 0o600)
        self.size_bytes = os.fstat(self._file).st_size
        self._live: set[int] = set()
        self._next_number = 0

    @property
    def is_settled(self) -> bool:
        """Whether nothing in it waits any more."""
        return not self._live

    def append(self, event_id: str, kind: str, content: dict[str, Any]) -> Record:
        """Write one event. Raises OSError, and leaves the file as it was, when the disk is full."""
        line = encode([self._next_number, kind, event_id, content]) + b"\n"
        try:
            written = os.write(self._file, line)
        except OSError:
            os.ftruncate(self._file, self.size_bytes)
            raise
        if written != len(line):
            os.ftruncate(self._file, self.size_bytes)
            raise OSError("the spool's disk is full")
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
            os.write(self._done, b"".join([b"%d\n" % number for number in done]))
            return
        # The events first: a crash in between must leave no event whose number is forgotten.
        os.ftruncate(self._file, 0)
        os.ftruncate(self._done, 0)
        self.size_bytes = 0

    def recover(self) -> list[Record]:
        """
        Return what a process that ended has left unsettled: of each event the last record, in their order.

        A line that was torn by a full disk or a crash is skipped.
        """
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
                    yield Record(number, offset, len(line)), event_id
                except ValueError:
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
