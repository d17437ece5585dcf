"""A bound on the nesting of a JSON file, for a parser whose time for a level grows with its depth."""

from __future__ import annotations

from itertools import accumulate
from typing import Protocol

from phospho_store.log_files.records import BrokenFile

# orjson writes 254 levels: a record of more is rejected by itself. Beyond this bound the file ends.
MAX_LEVELS = 1000
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_NO_BRACKETS = bytes(set(range(256)) - set(_STEPS))


class _Readable(Protocol):
    def read(self, size: int = ..., /) -> bytes: ...


class BoundedNesting:
    """A JSON stream. Reading it raises `BrokenFile` where it is nested more than MAX_LEVELS deep."""

    def __init__(self, stream: _Readable) -> None:
        self._stream = stream
        self._depth = 0
        self._is_in_text = False
        self._escape = b""

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes as they are."""
        chunk = self._stream.read(size)
        # The first byte of an escape may be the last one of a chunk.
        text = (self._escape + chunk).replace(b"\\\\", b"").replace(b'\\"', b"")
        self._escape = b"\\" if text.endswith(b"\\") else b""
        parts = text.split(b'"')
        outside = b"".join(parts[self._is_in_text :: 2])
        self._is_in_text ^= len(parts) % 2 == 0
        steps = map(_STEPS.__getitem__, outside.translate(None, _NO_BRACKETS))
        depths = list(accumulate(steps, initial=self._depth))
        if max(depths) > MAX_LEVELS:
            raise BrokenFile(
                f"The JSON is nested more than {MAX_LEVELS:,} levels deep.",
                "Import a file whose records are JSON objects, or one object a line.",
            )
        self._depth = depths[-1]
        return chunk
