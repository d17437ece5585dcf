"""A file of records, read as a stream in bounded memory: JSON lines, a JSON array or CSV, plain or gzip."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import ijson
import orjson

# The gateway's bound on a body is 10 MB; the rest is room for the envelope.
MAX_RECORD_BYTES = 9_900_000
_BUFFER_BYTES = 1 << 18
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Record:
    """
    One record. `line` counts from 1: of an array its place. `source` stands for the record where its id is derived;
    `is_json` says that it is the record's own JSON, while the fields of a CSV row are texts.
    """

    line: int
    source: bytes
    fields: dict[str, Any]
    is_json: bool


class BadLine(NamedTuple):
    """A line that holds no event, and why."""

    line: int
    reason: str


class BrokenFile(Exception):
    """The file can't be read on from here; every record before it was."""


class RecordFile:
    """A file of records. Iterating reads it once, from the start; raises `BrokenFile` where it is cut or damaged."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.size_bytes = path.stat().st_size
        self.written_at_s = path.stat().st_mtime
        self._raw: io.BufferedReader | None = None

    def position_bytes(self) -> int:
        """Return how much of the file, as it lies on the disk, was read."""
        return self._raw.tell() if self._raw and not self._raw.closed else self.size_bytes

    def __iter__(self) -> Iterator[Record | BadLine]:
        self._raw = io.BufferedReader(io.FileIO(self._path), _BUFFER_BYTES)
        with self._raw, _inflated(self._raw) as stream:
            try:
                yield from self._records(stream)
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                raise BrokenFile(f"The gzip file is cut off or damaged: {error}") from error

    def _records(self, stream: io.BufferedReader) -> Iterator[Record | BadLine]:
        if self._path.name.lower().removesuffix(".gz").endswith(".csv"):
            return _csv_rows(stream)
        if stream.peek(1024).removeprefix(_BYTE_ORDER_MARK).lstrip()[:1] == b"[":
            return _array_items(stream)
        return _json_lines(stream)


def _inflated(raw: io.BufferedReader) -> io.BufferedReader:
    """Return the file's bytes, inflated where it begins as gzip does, whatever its name."""
    is_gzip = raw.read(2) == b"\x1f\x8b"
    raw.seek(0)
    if not is_gzip:
        return raw
    # GzipFile reads lines in Python, BufferedReader in C.
    inner: Any = gzip.GzipFile(fileobj=raw)
    return io.BufferedReader(inner, _BUFFER_BYTES)


def _json_lines(stream: io.BufferedReader) -> Iterator[Record | BadLine]:
    for number, line in enumerate(_bounded_lines(stream), 1):
        if line is None:
            yield BadLine(number, f"the line is longer than {MAX_RECORD_BYTES:,} bytes")
            continue
        line = line.removeprefix(_BYTE_ORDER_MARK).strip() if number == 1 else line.strip()
        if line:
            yield _json_record(number, line)


def _bounded_lines(stream: io.BufferedReader) -> Iterator[bytes | None]:
    """Yield each line, or None for one that is too long, which is read away piece by piece."""
    while line := stream.readline(MAX_RECORD_BYTES + 1):
        if len(line) <= MAX_RECORD_BYTES or line.endswith(b"\n"):
            yield line
            continue
        while line and not line.endswith(b"\n"):
            line = stream.readline(1 << 20)
        yield None


def _json_record(number: int, line: bytes) -> Record | BadLine:
    try:
        fields = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return BadLine(number, f"it is not JSON: {error}")
    if not isinstance(fields, dict):
        return BadLine(number, "it is not a JSON object")
    return Record(number, line, fields, is_json=True)


def _array_items(stream: io.BufferedReader) -> Iterator[Record | BadLine]:
    """Yield the items of an array, of which one at a time is in memory."""
    if stream.peek(3).startswith(_BYTE_ORDER_MARK):
        stream.read(len(_BYTE_ORDER_MARK))
    try:
        for number, item in enumerate(ijson.items(stream, "item", use_float=True), 1):
            if not isinstance(item, dict):
                yield BadLine(number, "it is not a JSON object")
            else:
                yield _array_record(number, item)
    except ijson.JSONError as error:
        raise BrokenFile(f"The JSON array is cut off or damaged: {error}") from error


def _array_record(number: int, item: dict[str, Any]) -> Record | BadLine:
    try:
        return Record(number, orjson.dumps(item), item, is_json=True)
    except orjson.JSONEncodeError as error:
        return BadLine(number, f"it can't be sent as JSON: {error}")


def _csv_rows(stream: io.BufferedReader) -> Iterator[Record | BadLine]:
    csv.field_size_limit(MAX_RECORD_BYTES)
    # Bytes that are not UTF-8 become surrogates, which encoding refuses: the row fails, and not the file.
    with io.TextIOWrapper(stream, "utf-8-sig", errors="surrogateescape", newline="") as text:
        rows = csv.reader(text, strict=True)
        header = next(rows, [])
        while (row := _next_row(rows)) is not None:
            if isinstance(row, BadLine):
                yield row
            elif row.cells:
                yield _csv_record(row, header)


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


def _csv_record(row: _Row, header: list[str]) -> Record | BadLine:
    if len(row.cells) != len(header):
        return BadLine(row.line, f"it has {len(row.cells)} columns and the header has {len(header)}")
    try:
        source = orjson.dumps(row.cells)
    except TypeError:
        return BadLine(row.line, "it is not UTF-8")
    named = {name: text for name, text in zip(header, row.cells, strict=True) if text}
    return Record(row.line, source, named, is_json=False)
