"""
A file of logs, read as a stream: JSON lines or CSV, plain or gzip, in bounded memory.

What a line lacks is made up from the file alone, so that a second import logs the very same tasks:
a task without an id gets one derived from the line and from how often the file said it before, and a task without
a time gets the time at which the file was last written.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from phospho_schemas.ids import derived_uuid

# The gateway's bound on a body is 10 MB; the rest is room for the envelope.
MAX_EVENT_BYTES = 9_900_000
_BUFFER_BYTES = 1 << 18
_MAX_TIME_S = 2**48 / 1000
# A double counts in ones up to here.
_EXACT_BELOW = 2**53
_ISO_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_NUMBERS = frozenset({"tokens_in", "tokens_out", "latency_ms"})
_COLUMNS = frozenset(
    {
        "input", "output", "session_id", "task_id", "event_id", "user_id", "version_id", "client_created_at",
        "raw_input", "raw_output", "raw_input_type_name", "raw_output_type_name", "flag", "system_prompt", "metadata",
    }
)  # fmt: skip


class LogLine(NamedTuple):
    """One event, encoded as a JSON object, and the task's id. `line` counts from 1."""

    line: int
    task_id: str
    event: bytes


class BadLine(NamedTuple):
    """A line that holds no event, and why."""

    line: int
    reason: str


class BrokenFile(Exception):
    """The file can't be read on from here; every line before it was."""


class _NoEvent(Exception):
    """This line holds no event; its text says why."""


@dataclass(frozen=True)
class _Blank:
    """What a line lacks is filled from here."""

    written_at_s: float
    mapping: Mapping[str, str]
    occurrences: Occurrences = field(default_factory=lambda: Occurrences())


class Occurrences:
    """
    Counts how often a line was seen, in 64 MB whatever the length of the file.

    Lines share a counter where 24 bits of their checksum agree. Equal lines still get different numbers, and a file
    always the same ones, which is all that an id needs.
    """

    _BITS = 24

    def __init__(self) -> None:
        # A bytearray of zeros takes no memory until it is written to.
        self._counts = memoryview(bytearray(4 << self._BITS)).cast("I")

    def next(self, line: bytes) -> int:
        """Return how many lines before this one had its checksum."""
        slot = zlib.crc32(line) >> (32 - self._BITS)
        count = self._counts[slot]
        self._counts[slot] = count + 1
        return count


class LogFile:
    """
    A file of logs. Iterating reads it once, from the start.

    `mapping` names the file's own keys: `{"input": "question"}` takes `question` for `input`. Iterating raises
    `BrokenFile` where a compressed file is cut off or damaged.
    """

    def __init__(self, path: Path, mapping: Mapping[str, str] | None = None) -> None:
        self._path = path
        self._mapping = dict(mapping or {})
        self.size_bytes = path.stat().st_size
        self._raw: io.BufferedReader | None = None

    def position_bytes(self) -> int:
        """Return how much of the file, as it lies on the disk, was read."""
        return self._raw.tell() if self._raw and not self._raw.closed else self.size_bytes

    def __iter__(self) -> Iterator[LogLine | BadLine]:
        blank = _Blank(self._path.stat().st_mtime, self._mapping)
        self._raw = io.BufferedReader(io.FileIO(self._path), _BUFFER_BYTES)
        with self._raw, _inflated(self._raw) as stream:
            try:
                yield from _csv_lines(stream, blank) if self._is_csv() else _json_lines(stream, blank)
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                raise BrokenFile(f"The gzip file is cut off or damaged: {error}") from error

    def _is_csv(self) -> bool:
        return self._path.name.lower().removesuffix(".gz").endswith(".csv")


def _inflated(raw: io.BufferedReader) -> io.BufferedReader:
    """Return the file's bytes, inflated where it begins as gzip does, whatever its name."""
    is_gzip = raw.read(2) == b"\x1f\x8b"
    raw.seek(0)
    if not is_gzip:
        return raw
    # GzipFile reads lines in Python, BufferedReader in C.
    inner: Any = gzip.GzipFile(fileobj=raw)
    return io.BufferedReader(inner, _BUFFER_BYTES)


def _json_lines(stream: io.BufferedReader, blank: _Blank) -> Iterator[LogLine | BadLine]:
    for number, line in enumerate(_bounded_lines(stream), 1):
        if line is None:
            yield BadLine(number, f"the line is longer than {MAX_EVENT_BYTES:,} bytes")
            continue
        line = line.removeprefix(b"\xef\xbb\xbf").strip() if number == 1 else line.strip()
        if not line:
            continue
        try:
            yield _log_line(number, line, _parsed(line), blank, is_encoded=True)
        except _NoEvent as reason:
            yield BadLine(number, str(reason))


def _bounded_lines(stream: io.BufferedReader) -> Iterator[bytes | None]:
    """Yield each line, or None for one that is too long, which is read away piece by piece."""
    while line := stream.readline(MAX_EVENT_BYTES + 1):
        if len(line) <= MAX_EVENT_BYTES or line.endswith(b"\n"):
            yield line
            continue
        while line and not line.endswith(b"\n"):
            line = stream.readline(1 << 20)
        yield None


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        event = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise _NoEvent(f"it is not JSON: {error}") from None
    if not isinstance(event, dict):
        raise _NoEvent("it is not a JSON object")
    return event


def _csv_lines(stream: io.BufferedReader, blank: _Blank) -> Iterator[LogLine | BadLine]:
    csv.field_size_limit(MAX_EVENT_BYTES)
    # Bytes that are not UTF-8 become surrogates, which encoding refuses: the row fails, and not the file.
    with io.TextIOWrapper(stream, "utf-8-sig", errors="surrogateescape", newline="") as text:
        rows = csv.reader(text, strict=True)
        header = next(rows, [])
        while (row := _next_row(rows)) is not None:
            if isinstance(row, BadLine):
                yield row
            elif row.cells:
                yield _csv_line(row, header, blank)


class _Row(NamedTuple):
    line: int
    cells: list[str]


def _next_row(rows: Any) -> _Row | BadLine | None:
    """Return the next row of a csv.reader, and None at its end."""
    line = rows.line_num + 1
    try:
        return _Row(line, next(rows))
    except StopIteration:
        return None
    except csv.Error as error:
        return BadLine(line, f"it is not CSV: {error}")


def _csv_line(row: _Row, header: list[str], blank: _Blank) -> LogLine | BadLine:
    try:
        line = _encoded_row(row.cells, header)
        named = {name: text for name, text in zip(header, row.cells, strict=True) if text}
        return _log_line(row.line, line, _csv_event(_renamed(named, blank.mapping)), blank, is_encoded=False)
    except _NoEvent as reason:
        return BadLine(row.line, str(reason))


def _encoded_row(cells: list[str], header: list[str]) -> bytes:
    """Return the bytes that stand for a row where its id is derived."""
    if len(cells) != len(header):
        raise _NoEvent(f"it has {len(cells)} columns and the header has {len(header)}")
    try:
        return orjson.dumps(cells)
    except TypeError:
        raise _NoEvent("it is not UTF-8") from None


def _csv_event(cells: dict[str, str]) -> dict[str, Any]:
    """Return the event of a row's cells that are not empty: other columns than an event's become metadata."""
    event: dict[str, Any] = {name: text for name, text in cells.items() if name in _COLUMNS}
    metadata = _metadata(event.pop("metadata", "{}"))
    metadata |= {
        name: _number(text) if name in _NUMBERS else text for name, text in cells.items() if name not in _COLUMNS
    }
    if "client_created_at" in event:
        event["client_created_at"] = _unix_seconds(event["client_created_at"])
    return event | ({"metadata": metadata} if metadata else {})


def _metadata(text: str) -> dict[str, Any]:
    try:
        metadata = json.loads(text)
    except ValueError:
        metadata = None
    if not isinstance(metadata, dict):
        raise _NoEvent("its column metadata is not a JSON object")
    return metadata


def _number(text: str) -> float | str:
    try:
        number = float(text)
    except ValueError:
        return text
    if not math.isfinite(number):
        return text
    return int(number) if number.is_integer() and abs(number) < _EXACT_BELOW else number


def _unix_seconds(text: str) -> float:
    """Return the time of a cell: Unix seconds, or ISO 8601, in UTC where it names no zone."""
    try:
        moment = datetime.fromisoformat(text) if _ISO_DATE.match(text) else datetime.fromtimestamp(float(text), UTC)
    except (ValueError, OverflowError, OSError):
        raise _NoEvent(f"its client_created_at {text[:40]!r} is neither Unix seconds nor ISO 8601") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _log_line(number: int, line: bytes, event: dict[str, Any], blank: _Blank, *, is_encoded: bool) -> LogLine:
    """Return the event with what it lacked filled in; `line` is sent as it is where nothing had to be changed."""
    if is_encoded and blank.mapping:
        event, is_encoded = _renamed(event, blank.mapping), False
    if event.get("input") is None:
        raise _NoEvent("it has no input")
    task_id = event.get("task_id") or event.get("event_id")
    if not task_id:
        task_id = event["task_id"] = _derived_task_id(line, event, blank.occurrences)
        is_encoded = False
    if event.get("client_created_at") is None and event.get("created_at") is None:
        event["client_created_at"] = blank.written_at_s
        is_encoded = False
    return LogLine(number, str(task_id), line if is_encoded else _encoded(event))


def _encoded(event: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(event)
    except orjson.JSONEncodeError as error:
        raise _NoEvent(f"it can't be sent as JSON: {error}") from None


def _derived_task_id(line: bytes, event: dict[str, Any], occurrences: Occurrences) -> str:
    """Return an id that sorts by the task's time, where it has one that counts milliseconds in 48 bits."""
    created_at_s = event.get("client_created_at")
    time_ms = 0
    if isinstance(created_at_s, (int, float)) and 0 <= created_at_s < _MAX_TIME_S:
        time_ms = int(created_at_s * 1000)
    return derived_uuid(time_ms, line, str(occurrences.next(line)))


def _renamed(event: dict[str, Any], mapping: Mapping[str, str]) -> dict[str, Any]:
    """Return the event with the file's own names replaced; a mapped name wins over one that was there."""
    taken = {name: event[theirs] for name, theirs in mapping.items() if theirs in event}
    mapped = set(mapping.values())
    return {name: value for name, value in event.items() if name not in mapped} | taken
