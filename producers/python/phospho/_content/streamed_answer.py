"""The answer of one stream, chunk by chunk."""

from __future__ import annotations

import re
from typing import Any

from .._shapes.streams import Assembly
from .json_values import approximate_bytes, text_of
from .logged_value import LoggedValue, named_counts
from .sent_events import ByteStream
from .task_content import LogCall, OnError, chunk_text

__all__ = ["StreamedAnswer"]

_FIGURES = (int, float)
# A whole server-sent event as text, which web apps yield.
_EVENT = re.compile(r"(?:(?:data|event|id|retry)?:[^\n]*\r?\n)+\r?\n\Z")


class StreamedAnswer:
    """
    Puts the chunks of one stream together, so that its text and figures are those of the whole answer.

    An app's `output_to_str_function` makes the text of each chunk; these are joined.
    """

    def __init__(self, call: LogCall) -> None:
        self.call = call
        self.chunks = 0
        # Set when the task has no room for more: what comes after a gap would not be the answer.
        self.is_full = False
        self._assembly = Assembly()
        self._bytes = ByteStream()

    def add(self, chunk: Any, value: LoggedValue, on_error: OnError) -> None:
        """Add one chunk."""
        self.chunks += 1
        if self.call.output_to_str_function is not None:
            text = chunk_text(self.call, chunk, on_error)
            if text is not None:
                self.count(value)
                self._assembly.add(text)
                return
        for each in self._chunks(chunk, value):
            self._assembly.add(each)

    def text(self) -> str:
        """Return the text of the answer so far."""
        return self._assembly.text()

    def count(self, value: LoggedValue) -> None:
        """Take over the figures of a chunk whose text is not part of the answer."""
        for chunk in value.shape if isinstance(value.shape, list) else [value.shape]:
            self._assembly.add_figures(chunk)

    def figures(self) -> dict[str, Any]:
        """Return the token counts and the model, except those that the app has logged itself."""
        model = self._assembly.model()
        figures: dict[str, Any] = named_counts(self._assembly.usage())
        if model:
            figures["model"] = model
        return {name: value for name, value in figures.items() if name not in self.call.extra}

    def _chunks(self, chunk: Any, value: LoggedValue) -> list[Any]:
        """Return a chunk as JSON. Text and numbers of the app are text; other objects are read by their shape alone."""
        if isinstance(chunk, (bytes, bytearray)):
            return self._bytes.chunks(bytes(chunk))
        if isinstance(chunk, str) and _EVENT.match(chunk):
            return self._bytes.chunks(text_of(chunk).encode("utf-8", "replace"))
        shape = value.shape
        if isinstance(shape, str):
            return [shape] if isinstance(chunk, str) else []
        return [text_of(chunk) if isinstance(chunk, _FIGURES) else shape]


def append_chunk(held: dict[str, Any], text: str, raw: Any, chunks_before: int) -> None:
    """Put the *text* so far and one more *raw* chunk into the content of a stream, in place."""
    held["output"] = text
    if chunks_before == 1:
        held["raw_output"] = [held.get("raw_output"), raw]
    elif isinstance(held.get("raw_output"), list):
        held["raw_output"].append(raw)


def added_bytes(held: dict[str, Any], text: str, raw: Any) -> int:
    """Return by how much a chunk makes the content of a stream larger."""
    return len(text) - len(held.get("output") or "") + approximate_bytes(raw)
