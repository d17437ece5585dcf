"""A file of records, read as a stream in bounded memory: JSON lines, JSON, CSV (plain or gzip), Parquet or Excel."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import ijson
import orjson

from phospho_store.log_files.excel_file import excel_rows, is_excel
from phospho_store.log_files.nesting import BoundedNesting
from phospho_store.log_files.parquet_file import is_parquet, parquet_rows
from phospho_store.log_files.records import (
    BadHeader,
    BadLine,
    BrokenFile,
    Record,
    cell_record,
    column_names,
    json_record,
)

# The gateway's bound on a body is 10 MB; the rest is room for the envelope.
MAX_RECORD_BYTES = 9_900_000
_BUFFER_BYTES = 1 << 18
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_DELIMITERS = (",", ";", "\t")
# Keys under which one JSON object holds the records of an export.
_WRAPPERS = frozenset(
    {"data", "items", "logs", "records", "results", "rows", "tasks", "events", "traces", "observations", "runs"}
)


class RecordFile:
    """
    A file of records. Iterating reads it once, from the start; raises `BrokenFile` where it is cut or damaged.

    Two columns of a table may have one name, except a name in `fields`.
    """

    def __init__(self, path: Path, fields: Collection[str] = ()) -> None:
        self._path = path
        self._fields = fields
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
        head = stream.peek(_BUFFER_BYTES).removeprefix(_BYTE_ORDER_MARK)
        if is_parquet(head):
            return parquet_rows(self._path)
        if is_excel(self._path):
            return excel_rows(self._path, self._fields)
        if self._path.name.lower().removesuffix(".gz").endswith((".csv", ".tsv")):
            return _csv_rows(stream, _delimiter(head), self._fields)
        if head.lstrip()[:1] == b"[":
            return _json_items(stream, "item")
        if _is_document(head.lstrip()):
            return _json_items(stream, self._prefix())
        return _json_lines(stream)

    def _prefix(self) -> str:
        """Return where the records of a JSON document are, as ijson names it: under one of _WRAPPERS, or itself."""
        with io.FileIO(self._path) as raw, _inflated(io.BufferedReader(raw)) as stream:
            _skip_byte_order_mark(stream)
            try:
                for prefix, event, _ in ijson.parse(BoundedNesting(stream), multiple_values=True):
                    if event == "start_array" and prefix in _WRAPPERS:
                        return f"{prefix}.item"
                    if event == "end_map" and not prefix:
                        break
            except ijson.JSONError:
                pass
        return ""


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
            yield json_record(number, line)


def _bounded_lines(stream: io.BufferedReader) -> Iterator[bytes | None]:
    """Yield each line, or None for one that is too long, which is read away piece by piece."""
    while line := stream.readline(MAX_RECORD_BYTES + 1):
        if len(line) <= MAX_RECORD_BYTES or line.endswith(b"\n"):
            yield line
            continue
        while line and not line.endswith(b"\n"):
            line = stream.readline(1 << 20)
        yield None


def _is_document(head: bytes) -> bool:
    """Return whether a file is one JSON object over several lines, or one that wraps a list of records."""
    first, _, rest = head.partition(b"\n")
    if not first.startswith(b"{"):
        return False
    if first.rstrip().endswith((b"{", b"[", b",")):
        return True
    if rest.strip() or len(head) >= _BUFFER_BYTES // 2:
        return False
    record = json_record(1, first)
    return not isinstance(record, BadLine) and any(isinstance(record.fields.get(name), list) for name in _WRAPPERS)


def _json_items(stream: io.BufferedReader, prefix: str) -> Iterator[Record | BadLine]:
    """Yield the values under `prefix`, of which one at a time is in memory."""
    _skip_byte_order_mark(stream)
    try:
        items = ijson.items(BoundedNesting(stream), prefix, use_float=True, multiple_values=True)
        for number, item in enumerate(items, 1):
            if not isinstance(item, dict):
                yield BadLine(number, "not a JSON object")
            else:
                yield _array_record(number, item)
    except ijson.JSONError as error:
        raise BrokenFile(f"The JSON array is cut off or damaged: {error}") from error


def _skip_byte_order_mark(stream: io.BufferedReader) -> None:
    if stream.peek(3).startswith(_BYTE_ORDER_MARK):
        stream.read(len(_BYTE_ORDER_MARK))


def _array_record(number: int, item: dict[str, Any]) -> Record | BadLine:
    try:
        return Record(number, orjson.dumps(item), item, is_json=True)
    except orjson.JSONEncodeError as error:
        return BadLine(number, f"it can't be sent as JSON: {error}")


def _delimiter(head: bytes) -> str:
    """Return the delimiter of a header: Excel writes semicolons where the comma is the decimal point."""
    first = head.partition(b"\n")[0].decode("utf-8", "replace")
    return max(_DELIMITERS, key=first.count)


def _csv_rows(stream: io.BufferedReader, delimiter: str, fields: Collection[str]) -> Iterator[Record | BadLine]:
    csv.field_size_limit(MAX_RECORD_BYTES)
    # Bytes that are not UTF-8 become surrogates, which encoding refuses: the row fails, and not the file.
    with io.TextIOWrapper(stream, "utf-8-sig", errors="surrogateescape", newline="") as text:
        rows = csv.reader(text, strict=True, delimiter=delimiter)
        header = column_names(_header(rows), fields)
        while (row := _next_row(rows)) is not None:
            if isinstance(row, BadLine):
                yield row
            elif row.cells:
                yield cell_record(row.line, row.cells, header)


def _header(rows: Any) -> list[str]:
    """Return the cells of the header. Raises BadHeader."""
    row = _next_row(rows)
    if isinstance(row, BadLine):
        raise BadHeader(
            f"The header of the file is {row.reason}.",
            "Correct its quotes, or give the file the suffix of what it is, such as .json or .jsonl.",
        )
    header = row.cells if row else []
    # UTF-16 is half NULs, and each byte that is not UTF-8 became a surrogate.
    if any(letter == "\0" or "\udc80" <= letter <= "\udcff" for letter in "".join(header)):
        raise BadHeader("The header of the file is not UTF-8.", "Save the file as CSV in UTF-8 and import it again.")
    return header


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
        return BadLine(line, f"not CSV: {error}")
