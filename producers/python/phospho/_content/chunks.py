"""Text of one chunk of a stream."""

from __future__ import annotations

from typing import Any

from .fields import first_item, read

__all__ = ["chunk_text"]

# Events of the Responses API that add text. The others repeat it whole, or carry something else.
_RESPONSES_TEXT = ("response.output_text.delta", "response.refusal.delta")

# Events of Anthropic's streams (https://docs.anthropic.com/en/docs/build-with-claude/streaming).
_ANTHROPIC_EVENTS = frozenset(
    {
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
        "ping",
    }
)


def chunk_text(value: Any) -> str | None:
    """Return the text of a chunk of OpenAI or Anthropic, "" for one without text. None if *value* is no chunk."""
    kind = read(value, "type")
    if isinstance(kind, str) and kind.startswith("response."):
        return _string(read(value, "delta")) if kind in _RESPONSES_TEXT else ""
    if kind in _ANTHROPIC_EVENTS:
        return _string(read(read(value, "delta"), "text"))
    return _openai_chat_chunk(value)


def _openai_chat_chunk(value: Any) -> str | None:
    if read(value, "object") == "chat.completion.chunk" and first_item(value, "choices") is None:
        return ""  # the last chunk, with the usage only
    choice = first_item(value, "choices")
    delta = read(choice, "delta")
    if delta is None or read(choice, "message") is not None:
        return None
    return _string(read(delta, "content")) or _string(read(delta, "refusal"))


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""
