"""
Events that are larger than a message: slices of the whole log, and a head of the event that fits a message.

A claim check over the same topic. The slices go ahead of the head, and their rows are stored beside its task. No stage
puts slices together, so that each holds a message at a time; a reader does, for one task.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from phospho_schemas.ids import derived_id
from phospho_schemas.topics import Keyed

# Of JSON, before it is quoted within a message, which at most doubles it.
_PART_BYTES = 1_000_000
# A text is cut to the first of these numbers of characters with which the head fits.
_TEXT_CHARACTERS = (1_000_000, 100_000, 10_000, 1_000, 100)
_MAX_HEAD_BYTES = 4_000_000
_MAX_ANY_CHARACTERS = 100_000
_CONTENT = ("input", "output", "raw_input", "raw_output", "metadata")
_CUT = "…"


def whole_log_id(line: bytes) -> str:
    """Return the id of a log's content: a log that is sent again has the same parts."""
    return derived_id("whole log", line)


def part_messages(line: bytes, key: bytes, stamp: dict[str, Any]) -> tuple[Keyed, ...]:
    """Return the messages of a log's slices; `stamp` is what they share."""
    slices = list(_slices(line))
    return tuple(
        Keyed(key, orjson.dumps({"kind": "part"} | stamp | {"part": part, "parts": len(slices), "text": text.decode()}))
        for part, text in enumerate(slices)
    )


def _slices(line: bytes) -> Iterator[bytes]:
    start = 0
    while start < len(line):
        end = min(start + _PART_BYTES, len(line))
        # Not within a character of UTF-8.
        while end < len(line) and line[end] & 0xC0 == 0x80:
            end -= 1
        yield line[start:end]
        start = end


def head_of(event: dict[str, Any]) -> dict[str, Any]:
    """
    Return the event with its long texts cut, so that it fits a message.

    Its shape stays, so that extraction reads it as the whole one. Where cutting texts is not enough, each large field
    becomes the beginning of its JSON.
    """
    for characters in _TEXT_CHARACTERS:
        head = {name: _cut(value, characters) for name, value in event.items()}
        if _size(head) <= _MAX_HEAD_BYTES:
            return head
    head = {name: head[name] for name in event if name in _CONTENT or _size(head[name]) <= _MAX_ANY_CHARACTERS}
    return head | {name: _beginning(name, event[name]) for name in _CONTENT if name in event}


def _cut(value: Any, characters: int) -> Any:
    kind = type(value)
    if kind is str:
        return value if len(value) <= characters else value[:characters] + _CUT
    if kind is dict:
        return {name: _cut(part, characters) for name, part in value.items()}
    if kind is list:
        return [_cut(part, characters) for part in value]
    return value


def _beginning(name: str, value: Any) -> Any:
    line = value.encode() if isinstance(value, str) else orjson.dumps(value)
    if len(line) <= _MAX_ANY_CHARACTERS:
        return value
    text = line[:_MAX_ANY_CHARACTERS].decode("utf-8", "ignore") + _CUT
    return {"cut": text} if name == "metadata" else text


def _size(value: Any) -> int:
    return len(orjson.dumps(value))
