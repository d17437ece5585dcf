"""Reading fields alike from dicts and objects, and text from the parts of a message."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import islice
from typing import Any, cast

from .._jsonable import MAX_ITEMS, to_jsonable

__all__ = ["calls_text", "content_text", "first", "has_everything", "items", "listed", "parsed", "read"]

# A message holds the results of tools, and they hold their texts.
MAX_CONTENT_DEPTH = 2

_NOBODY_HAS = "what_nobody_has_but_who_has_it_all"


def parsed(value: Any) -> Any:
    """Return the JSON in bytes, or in one line of server-sent events; other bytes as text."""
    if not isinstance(value, (bytes, bytearray)):
        return value
    text = bytes(value).decode("utf-8", "replace").strip()
    text = text[5:].strip() if text.startswith("data:") else text
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return document if isinstance(document, (dict, list)) else text


def read(value: Any, field: str) -> Any:
    """Return a key of a dict or an attribute of an object, None if there is none. Never raises."""
    if value is None or isinstance(value, (str, bytes, int, float, list, tuple)):
        return None
    try:
        if isinstance(value, dict):
            return value.get(field)
        return None if has_everything(value) else getattr(value, field, None)
    except Exception:  # a property of the app's object
        return None


def has_everything(value: Any) -> bool:
    """
    Return whether *value* has an attribute of whatever name, as a mock or the proxy of a remote object has.

    Its attributes then say nothing of its shape, and each has every attribute again.
    """
    return hasattr(type(value), "__getattr__") and hasattr(value, _NOBODY_HAS)


def items(value: Any, field: str) -> Sequence[Any]:
    """Return the list in *field*, empty if there is none."""
    return listed(read(value, field))


def listed(value: Any) -> Sequence[Any]:
    """Return *value* if it is a list or tuple, else an empty one; of a subclass the first MAX_ITEMS."""
    if type(value) in (list, tuple):
        return cast("Sequence[Any]", value)
    return list(islice(value, MAX_ITEMS)) if isinstance(value, (list, tuple)) else ()


def first(value: Any, field: str) -> Any:
    """Return the first item of the list in *field*, or None."""
    found = items(value, field)
    return found[0] if found else None


def content_text(content: Any, separator: str = "\n", depth: int = MAX_CONTENT_DEPTH) -> str | None:
    """
    Return the text of a message's content: a string, or parts joined by *separator*. None if there is none.

    Text, refusals and calls of tools are text; what else a part is stands as its type, as in `[image_url]`.
    The results of tools have content again; beyond *depth* they stand as their type too.
    """
    if isinstance(content, str):
        return content
    if not isinstance(content, (list, tuple)):
        return None if content is None else _part_text(content, depth)
    texts = [text for text in [_part_text(part, depth) for part in listed(content)] if text]
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
    """Return the name of a Gemini part that is not text: its one field that is set."""
    for field in ("inline_data", "inlineData", "file_data", "fileData", "function_response"):
        if read(part, field) is not None:
            return f"[{field}]"
    return None


def calls_text(calls: Sequence[Any]) -> str | None:
    """Return calls of tools as text, `name(arguments)` per line, or None if there are none."""
    texts: list[str] = [text for text in map(_call_text, calls) if text]
    return "\n".join(texts) if texts else None


def _call_text(call: Any) -> str | None:
    """Read OpenAI's, Anthropic's, Gemini's and LangChain's call of a tool."""
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
