"""A bound on the nesting of a JSON file, for a parser whose time for a level grows with its depth."""

from __future__ import annotations

import re
from itertools import accumulate
from typing import Protocol

# orjson writes 254 levels, so that a record which is cut here is rejected.
MAX_LEVELS = 1000
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_NO_BRACKETS = bytes(set(range(256)) - set(_STEPS))
_TOKEN = re.compile(rb'\\["\\]|["\[\]{}]')
# Stands for a value below MAX_LEVELS.
_CUT = b"0"


class _Readable(Protocol):
    def read(self, size: int = ..., /) -> bytes: ...


class BoundedNesting:
    """A JSON stream, in which a 0 stands for each value that is nested more than MAX_LEVELS deep."""

    def __init__(self, stream: _Readable) -> None:
        self._stream = stream
        self._depth = 0
        self._is_in_text = False
        self._escape = b""

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes; none at the end only."""
        while chunk := self._stream.read(size):
            if bounded := self._bounded(chunk):
                return bounded
        return b""

    def _bounded(self, chunk: bytes) -> bytes:
        # The first byte of an escape may be the last one of a chunk.
        escaped = self._escape + chunk
        text = escaped.replace(b"\\\\", b"").replace(b'\\"', b"")
        parts = text.split(b'"')
        outside = b"".join(parts[self._is_in_text :: 2])
        steps = map(_STEPS.__getitem__, outside.translate(None, _NO_BRACKETS))
        depths = list(accumulate(steps, initial=self._depth))
        if max(depths) > MAX_LEVELS:
            chunk = self._cut(escaped)
        self._depth = depths[-1]
        self._is_in_text ^= len(parts) % 2 == 0
        self._escape = b"\\" if text.endswith(b"\\") else b""
        return chunk

    def _cut(self, escaped: bytes) -> bytes:
        """Return a chunk, which an escape of the one before it may precede, without its values that are too deep."""
        depth, is_in_text = self._depth, self._is_in_text
        pieces: list[bytes] = []
        begin = len(self._escape)
        for token in _TOKEN.finditer(escaped):
            mark = token[0]
            if mark == b'"':
                is_in_text = not is_in_text
            elif not is_in_text and len(mark) == 1:
                depth += (step := _STEPS[mark[0]])
                if depth == MAX_LEVELS + 1 and step > 0:
                    pieces += [escaped[begin : token.start()], _CUT]
                elif depth == MAX_LEVELS and step < 0:
                    begin = token.end()
        return b"".join(pieces) + (escaped[begin:] if depth <= MAX_LEVELS else b"")
