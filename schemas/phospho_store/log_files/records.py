"""Records of a file of logs, and the lines that are none."""

from __future__ import annotations

import base64
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, NamedTuple

import orjson


@dataclass(frozen=True)
class Record:
    """
    One record. `line` counts from 1: of an array its place. `source` stands for the record where its id is derived;
    `is_json` says that it is the record's own JSON, while the fields of a CSV row are texts. `binary` names the columns
    with values that are `bytes`, which are base64 in `source`.
    """

    line: int
    source: bytes
    fields: dict[str, Any]
    is_json: bool
    binary: frozenset[str] = frozenset()


class BadLine(NamedTuple):
    """A line that holds no event, and why. `options` of the command line would help; it goes on from the reason."""

    line: int
    reason: str
    options: str = ""


class BrokenFile(Exception):
    """The file can't be read on from here; every record before it was. `hint` says what to do."""

    def __init__(self, message: str, hint: str = "Get the whole file and import it again.") -> None:
        super().__init__(message)
        self.hint = hint


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


def base64_text(content: bytes) -> str:
    """Return bytes as JSON has them; of any other type raises TypeError, as a default of orjson does."""
    if not isinstance(content, bytes):
        raise TypeError(f"no JSON: {type(content).__name__}")
    return base64.b64encode(content).decode()


def with_bytes_as(text_of: Callable[[bytes], str], value: Any) -> Any:
    """Return a value with the text of all bytes in it."""
    if isinstance(value, list):
        return [with_bytes_as(text_of, item) for item in value]
    if isinstance(value, dict):
        return {name: with_bytes_as(text_of, item) for name, item in value.items()}
    return text_of(value) if isinstance(value, bytes) else value


def json_record(number: int, line: bytes) -> Record | BadLine:
    """Return the record of a line of JSON."""
    try:
        fields = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return BadLine(number, f"not JSON: {error}")
    if not isinstance(fields, dict):
        return BadLine(number, "not a JSON object")
    return Record(number, line, fields, is_json=True)


def column_names(header: Sequence[str], fields: Collection[str] = ()) -> list[str]:
    """
    Return different names for a table's columns, without blanks around them: the second `notes` is `notes_2`.

    Raises BadHeader where two have the name of one of the `fields`, since either could be meant.
    """
    given = [name.strip() for name in header]
    if twice := next((name for name, times in Counter(given).items() if times > 1 and name in fields), None):
        numbers = [str(number) for number, name in enumerate(given, 1) if name == twice]
        both = "both" if len(numbers) == 2 else "all"
        raise BadHeader(
            f"The columns {', '.join(numbers[:-1])} and {numbers[-1]} are {both} named {twice!r}.",
            "Give each its own name in the file and import it again.",
        )
    taken, named = set(given), set[str]()
    suffixes: dict[str, Iterator[int]] = defaultdict(lambda: count(2))
    names: list[str] = []
    for number, name in enumerate(given, 1):
        unique = base = name or f"column_{number}"
        if base in (named if name else taken):
            unique = next(numbered for suffix in suffixes[base] if (numbered := f"{base}_{suffix}") not in taken)
        named.add(unique)
        taken.add(unique)
        names.append(unique)
    return names


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
