"""Records of a file of logs, and the lines that are none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson


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
    """A line that holds no event, and why. `options` of the command line would help; it goes on from the reason."""

    line: int
    reason: str
    options: str = ""


class BrokenFile(Exception):
    """The file can't be read on from here; every record before it was."""


class BadHeader(Exception):
    """The header of a table can't be read, so that no row of it can; `hint` says what to do."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class NoEvent(ValueError):
    """A record that holds no event; the message is the reason, `options` as those of BadLine."""

    def __init__(self, reason: str, options: str = "") -> None:
        super().__init__(reason)
        self.options = options


def json_record(number: int, line: bytes) -> Record | BadLine:
    """Return the record of a line of JSON."""
    try:
        fields = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return BadLine(number, f"not JSON: {error}")
    if not isinstance(fields, dict):
        return BadLine(number, "not a JSON object")
    return Record(number, line, fields, is_json=True)


def cell_record(number: int, cells: list[str], header: list[str]) -> Record | BadLine:
    """Return the record of a row of texts, without those that are empty."""
    if len(cells) != len(header):
        return BadLine(number, f"{len(cells)} columns, but the header has {len(header)}")
    try:
        source = orjson.dumps(cells)
    except TypeError:
        return BadLine(number, "not UTF-8; save the file as UTF-8")
    named = {name: text for name, text in zip(header, cells, strict=True) if text}
    return Record(number, source, named, is_json=False)
