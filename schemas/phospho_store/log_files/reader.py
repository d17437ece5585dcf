"""
A process that reads one file of logs, which anybody may have made, and writes JSON lines: `python -m` this module.

A file that unpacks without end, or that a parser chokes on, ends this process and no other. Its memory and its CPU
time are limited. `Line` describes what it writes.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, TypedDict

import orjson

from phospho_store.log_files.formats import recognised
from phospho_store.log_files.log_file import LogFile, SkippedLine
from phospho_store.log_files.parquet_file import is_parquet
from phospho_store.log_files.records import BadHeader, BadLine, BrokenFile, Record, base64_text, with_bytes_as

MAX_COLUMNS = 200
_PEEKED_RECORDS = 50
_EXAMPLES = 3
_EXAMPLE_CHARACTERS = 200
_LINES_BETWEEN_POSITIONS = 200
_MAX_MEMORY_BYTES = 2 << 30
_MAX_CPU_S = 300
_MODULE = "phospho_store.log_files.reader"


@dataclass(frozen=True)
class ReadRequest:
    """A file, and how to read it: `is_peek` asks for its columns only, `import_id` marks its events."""

    path: str
    is_peek: bool = False
    mapping: dict[str, str] = field(default_factory=dict)
    format_name: str | None = None
    date_format: str | None = None
    import_id: str = ""

    def arguments(self) -> list[str]:
        """Return the arguments of a Python interpreter that reads the file."""
        return ["-m", _MODULE, orjson.dumps(asdict(self)).decode()]


class Line(TypedDict, total=False):
    """
    A line that the process writes: an event, a rejected line with its reason, or a skipped one.

    `position_bytes` says how far it is. `broken` is the last line of a file that can't be read on. `columns` answers a
    peek.
    """

    line: int
    event: dict[str, Any]
    size_bytes: int
    reason: str
    is_skipped: bool
    is_undated: bool
    position_bytes: int
    broken: str
    columns: dict[str, list[str]]
    format_name: str | None


def main() -> None:
    """Read the file of the request in the first argument."""
    request = ReadRequest(**orjson.loads(sys.argv[1]))
    with Path(request.path).open("rb") as file:
        head = file.read(4)
    if not is_parquet(head):
        # ClickHouse, which reads Parquet, reserves far more addresses than it uses, and counts its memory itself.
        _limit(resource.RLIMIT_AS, _MAX_MEMORY_BYTES)
    _limit(resource.RLIMIT_CPU, _MAX_CPU_S)
    for line in _lines(request):
        sys.stdout.buffer.write(orjson.dumps(line) + b"\n")


def _limit(kind: int, most: int) -> None:
    _, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def _lines(request: ReadRequest) -> Iterator[dict[str, Any]]:
    log_file = LogFile(
        Path(request.path), request.mapping, request.format_name, request.date_format, import_id=request.import_id
    )
    try:
        if request.is_peek:
            yield _peeked(log_file)
        else:
            yield from _events(log_file)
    except (BadHeader, BrokenFile) as error:
        yield {"broken": f"{error} {error.hint}"}
    except MemoryError:
        yield {"broken": "A record of the file, or its table of texts, needs more memory than an import may take."}


def _events(log_file: LogFile) -> Iterator[dict[str, Any]]:
    for number, log in enumerate(log_file, 1):
        if isinstance(log, BadLine):
            yield {"line": log.line, "reason": log.reason}
        elif isinstance(log, SkippedLine):
            yield {"line": log.line, "is_skipped": True}
        else:
            event = orjson.Fragment(log.event)
            yield {"line": log.line, "event": event, "size_bytes": len(log.event), "is_undated": log.is_undated}
        if number % _LINES_BETWEEN_POSITIONS == 0:
            yield _position(log_file)
    yield _position(log_file)


def _position(log_file: LogFile) -> dict[str, Any]:
    return {"position_bytes": log_file.records.position_bytes()}


def _peeked(log_file: LogFile) -> dict[str, Any]:
    """Return the columns of the first records, each with some of its values, and the format of the first."""
    columns: dict[str, list[str]] = {}
    format_name: str | None = None
    bad: list[BadLine] = []
    for index, record in enumerate(islice(log_file.records, _PEEKED_RECORDS)):
        if not isinstance(record, Record):
            bad.append(record)
            continue
        if index == 0:
            format_name = recognised(record.fields)
        for name, value in record.fields.items():
            if name in columns or len(columns) < MAX_COLUMNS:
                _add_example(columns.setdefault(name, []), value)
    if bad and not columns:
        return {"broken": f"None of its first rows can be read. Row {bad[0].line}: {bad[0].reason}."}
    return {"columns": columns, "format_name": format_name}


def _add_example(examples: list[str], value: Any) -> None:
    value = with_bytes_as(_example_of_bytes, value)
    text = (value if isinstance(value, str) else orjson.dumps(value).decode())[:_EXAMPLE_CHARACTERS]
    if text and text not in examples and len(examples) < _EXAMPLES:
        examples.append(text)


def _example_of_bytes(content: bytes) -> str:
    """Return bytes as text where they are UTF-8, which is what a mapped column would hold, or as base64."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return base64_text(content)


if __name__ == "__main__":
    main()
