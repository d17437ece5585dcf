"""Text of a message's parts: strings, content lists and tool calls."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from .fields import as_list, read
from .json_values import to_jsonable

__all__ = ["calls_text", "content_text"]

# A message holds the results of tools, and they hold their texts.
MAX_CONTENT_DEPTH = 2


def content_text(content: Any, separator: str = "\n", depth: int = MAX_CONTENT_DEPTH) -> str | None:
    """
    Return the text of a message's content: a string, or parts joined by *separator*. None if there is none.

    Text, refusals and tool calls are text. Every other part becomes its type, as in `[image_url]`. Tool results
    hold content again: beyond *depth* they become their type too.
    """
    if isinstance(content, str):
        return content
    if not isinstance(content, (list, tuple)):
        return None if content is None else _part_text(content, depth)
    texts = [text for text in [_part_text(part, depth) for part in as_list(content)] if text]
    return separator.join(texts) if texts else None


def _part_text(part: Any, depth: int) -> str | None:
    if isinstance(part, str):
        return part
    for field in ("text", "refusal"):
        text = read(part, field)
        if isinstance(text, str):
            return text
    kind = read(part, "type")
    if kind in ("thinking", "redacted_thinking", "reasoning"):
        return None
    call = _call_text(part)
    if call:
        return call
    result = read(part, "content")
    if kind == "tool_result" and result is not None and depth > 0:
        return content_text(result, depth=depth - 1)
    return f"[{kind}]" if isinstance(kind, str) else _unnamed_part(part)


def _unnamed_part(part: Any) -> str | None:
    """Return the name of the one field that is set in a Gemini part without text."""
    for field in ("inline_data", "inlineData", "file_data", "fileData", "function_response"):
        if read(part, field) is not None:
            return f"[{field}]"
    return None


def calls_text(calls: Sequence[Any]) -> str | None:
    """Return tool calls as text, `name(arguments)` per line, or None if there are none."""
    texts: list[str] = [text for text in map(_call_text, calls) if text]
    return "\n".join(texts) if texts else None


def _call_text(call: Any) -> str | None:
    """Return the text of a tool call of OpenAI, Anthropic, Gemini or LangChain."""
    for field in ("function", "function_call", "functionCall"):
        nested = read(call, field)
        if nested is not None and not isinstance(nested, str):
            return _named_call_text(nested)
    return _named_call_text(call)


def _named_call_text(call: Any) -> str | None:
    name = read(call, "name")
    if not isinstance(name, str) or not name:
        return None
    for field in ("arguments", "input", "args"):
        arguments = read(call, field)
        if arguments is not None:
            return f"{name}({_arguments_text(arguments)})"
    return None


def _arguments_text(arguments: Any) -> str:
    if isinstance(arguments, str):
        return arguments
    return json.dumps(to_jsonable(arguments), ensure_ascii=False)
