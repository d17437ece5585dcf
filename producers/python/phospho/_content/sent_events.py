"""Answers in bytes, as an app passes them on from the network."""

from __future__ import annotations

import codecs
import json
import re
from typing import Any

__all__ = ["ByteStream", "parsed"]

_LINE = re.compile("(data|event|id|retry)?:")
# What a chunk begins with that follows a cut one: a colon is no sign, JSON has them too.
_NEXT_LINE = re.compile("(data|event):")
_NEWLINES = re.compile("\r\n|\r|\n")


def parsed(value: bytes) -> Any:
    """Return the JSON in bytes, a list of the data of their server-sent events, or other bytes as text."""
    stream = ByteStream()
    chunks = stream.chunks(value)
    return chunks if stream.has_events else chunks[0]


class ByteStream:
    """The chunks of a stream in bytes: JSON, text, or server-sent events, cut anywhere behind the first `data:`."""

    def __init__(self) -> None:
        self.has_events = False
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""

    def chunks(self, value: bytes) -> list[Any]:
        """Return the data of the events that *value* completes. Comments and `[DONE]` are none."""
        text = self._decoder.decode(value)
        begins_line = (_NEXT_LINE if self._rest else _LINE).match(text) is not None
        if not self.has_events and not begins_line:
            document = _document(text)
            return [document if isinstance(document, (dict, list)) else text]
        self.has_events = True
        *lines, last = _NEWLINES.split(text if begins_line else self._rest + text)
        self._rest = last if _is_cut(last) else ""
        data = [_data(line) for line in [*lines, "" if self._rest else last] if line.startswith("data:")]
        return [_document(each) for each in data if each.strip() != "[DONE]"]


def _data(line: str) -> str:
    return line[len("data:") :].removeprefix(" ")


def _is_cut(line: str) -> bool:
    """Return whether the rest of a line is yet to come: apps pass on whole lines without their end, too."""
    if not line.startswith("data:"):
        return bool(line) and _LINE.match(line) is None
    data = _data(line).strip()
    return not data or (data.startswith(("{", "[")) and data != "[DONE]" and _document(data) is data)


def _document(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
