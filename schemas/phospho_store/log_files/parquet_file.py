"""
Rows of Parquet files, in which columns of bytes are told from texts by their type.

The embedded ClickHouse, which reads the files, has one type for both.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from phospho_store.log_files.records import BadLine, BrokenFile, Record, base64_text, json_record

_MAGIC = b"PAR1"
_AS_JSON = (
    "SETTINGS date_time_output_format = 'iso', output_format_json_quote_64bit_integers = 0,"
    " output_format_json_named_tuples_as_objects = 1, max_memory_usage = 1000000000, max_threads = 2"
)
_BYTES_COLUMNS = (
    "SELECT DISTINCT leaf.path AS path FROM (SELECT arrayJoin(columns) AS leaf FROM file('{file}', ParquetMetadata))"
    " WHERE leaf.physical_type IN ('BYTE_ARRAY', 'FIXED_LEN_BYTE_ARRAY') AND leaf.logical_type IN ('None', 'BSON')"
)
# Names that Parquet puts into a path for a list and for the values of a map.
_LIST = r"(?:(?:list|element|item|bag|array|array_element)\.)*"
_MAP_VALUE = r"(?:key_value|map|entries)\.value"

# Paths of the leaves that hold bytes, below a value.
_Leaves = tuple[str, ...]


def is_parquet(head: bytes) -> bool:
    """Return whether a file begins as Parquet does."""
    return head.startswith(_MAGIC)


def parquet_rows(path: Path) -> Iterator[Record | BadLine]:
    """Yield the rows of a Parquet file without their nulls, in bounded memory. Bytes are `bytes` in their fields."""
    # Only this format needs the engine, which takes a moment to load.
    import chdb

    file = str(path.resolve()).replace("\\", "\\\\").replace("'", "\\'")
    connection = chdb.connect(":memory:")
    try:
        columns = connection.query(_BYTES_COLUMNS.format(file=file), "JSONEachRow").bytes().splitlines()
        leaves = tuple(orjson.loads(column)["path"] for column in columns)
        rows = connection.send_query(f"SELECT * FROM file('{file}', Parquet) {_AS_JSON}", "JSONEachRow")
        for number, line in enumerate(_lines(rows), 1):
            yield _record(number, line, leaves)
    except RuntimeError as error:
        raise BrokenFile(f"The Parquet file can't be read: {str(error).splitlines()[0][:200]}") from error
    finally:
        connection.close()


def _lines(chunks: Any) -> Iterator[bytes]:
    """Yield the lines of a streamed answer, whose chunks hold whole ones."""
    for chunk in chunks:
        yield from chunk.bytes().splitlines()


def _record(number: int, line: bytes, leaves: _Leaves) -> Record | BadLine:
    if leaves or not _is_text(line):
        return _record_with_bytes(number, line, leaves)
    record = json_record(number, line)
    if isinstance(record, BadLine) or None not in record.fields.values():
        return record
    fields = {name: value for name, value in record.fields.items() if value is not None}
    return Record(number, orjson.dumps(fields), fields, is_json=True)


def _record_with_bytes(number: int, line: bytes, leaves: _Leaves) -> Record | BadLine:
    values = json.loads(line.decode("utf-8", "surrogateescape"), parse_int=_number)
    fields = {_name(name): _with_bytes(value, _below(leaves, name)) for name, value in values.items()}
    fields = {name: value for name, value in fields.items() if value is not None}
    try:
        source = orjson.dumps(fields, default=base64_text)
    except orjson.JSONEncodeError as error:
        return BadLine(number, f"it can't be sent as JSON: {error}")
    binary = frozenset(name for name, value in fields.items() if _has_bytes(value))
    return Record(number, source, fields, is_json=True, binary=binary)


def _number(digits: str) -> float:
    """Return a whole number as orjson does: of more than 64 bits as a float."""
    number = int(digits)
    return number if -(2**63) <= number < 2**64 else float(number)


def _with_bytes(value: Any, leaves: _Leaves) -> Any:
    """Return a value with bytes in place of the texts in it that are of a column of bytes, or no UTF-8."""
    if isinstance(value, list):
        return [_with_bytes(item, leaves) for item in value]
    if isinstance(value, dict):
        return {_name(name): _with_bytes(item, _below(leaves, name)) for name, item in value.items()}
    if not isinstance(value, str):
        return value
    content = value.encode("utf-8", "surrogateescape")
    return content if leaves or not _is_text(content) else value


def _name(name: str) -> str:
    """Return a name, or the key of a map, in base64 where it is no UTF-8."""
    content = name.encode("utf-8", "surrogateescape")
    return name if _is_text(content) else base64_text(content)


@functools.lru_cache(maxsize=4096)
def _below(leaves: _Leaves, name: str) -> _Leaves:
    """Return the rests of the paths that go on with a name of a struct, or with the values of a map."""
    pattern = re.compile(rf"{_LIST}(?:{re.escape(name)}|{_MAP_VALUE})(?:\.|$)")
    return tuple(leaf[match.end() :] for leaf in leaves if (match := pattern.match(leaf)))


def _has_bytes(value: Any) -> bool:
    if isinstance(value, list):
        return any(map(_has_bytes, value))
    if isinstance(value, dict):
        return any(map(_has_bytes, value.values()))
    return isinstance(value, bytes)


def _is_text(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True
