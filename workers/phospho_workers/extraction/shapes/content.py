"""Text of messages and their parts, in the shapes of OpenAI, Anthropic, Gemini and Ollama."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from phospho_workers.runtime.json_bytes import encode

USER_ROLES = frozenset({"user", "human"})
ASSISTANT_ROLES = frozenset({"assistant", "ai", "model", "chatbot"})


def json_text(value: Any) -> str:
    """Return a value that was read from JSON as JSON text. Raises Rejected where it is nested too deep to write."""
    return encode(value).decode()


def first_text(value: Any, readers: Iterable[Callable[[Any], str | None]]) -> str:
    """Return the text that the first matching reader finds; the value as JSON where none matches."""
    for read in readers:
        text = read(value)
        if text is not None:
            return text
    return json_text(value)


def messages_of(value: Any) -> list[Mapping[str, Any]]:
    """Return the messages of a request or of a list; empty where `value` holds none."""
    if isinstance(value, Mapping):
        value = value.get("messages") or value.get("contents") or value.get("input")
    if not isinstance(value, list):
        return []
    return [item for item in value if isinstance(item, Mapping) and isinstance(item.get("role"), str)]


def last_turn(messages: list[Mapping[str, Any]], roles: frozenset[str]) -> str | None:
    """Return the last run of messages with one of `roles`, joined by line breaks."""
    turn: list[str] = []
    for message in reversed(messages):
        if message["role"] in roles and not _is_tool_result(message):
            turn.append(message_text(message))
        elif turn:
            break
    return "\n".join(reversed(turn)) if turn else None


def message_text(message: Mapping[str, Any]) -> str:
    """Return the text of a message; where it only refuses or calls tools, the refusal or the calls as JSON."""
    text = content_text(message.get("content") if "content" in message else message.get("parts"))
    if text:
        return text
    if isinstance(message.get("refusal"), str):
        return str(message["refusal"])
    calls = message.get("tool_calls") or message.get("function_call") or _tool_call_parts(message)
    return json_text(calls) if calls else ""


def content_text(content: Any) -> str:
    """Return the text of a message's content: a string, a list of parts, or an object that holds parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, Mapping):
        if "parts" in content:
            return content_text(content["parts"])
        text = content.get("text") or content.get("content") or ""
        return text if isinstance(text, str) else content_text(text)
    if isinstance(content, list):
        parts = (content_text(part) for part in content)
        return "\n".join(part for part in parts if part)
    return ""


def type_of(part: Any) -> Any:
    """Return the `type` of a part or item; None for anything else."""
    return part.get("type") if isinstance(part, Mapping) else None


def _is_tool_result(message: Mapping[str, Any]) -> bool:
    """Return True for a message of tool results only, which Anthropic's API sends in the role of the user."""
    parts = message.get("content")
    return isinstance(parts, list) and bool(parts) and all(type_of(part) == "tool_result" for part in parts)


def _tool_call_parts(message: Mapping[str, Any]) -> list[Any]:
    """Return the tool calls among the parts of a message of Anthropic or Gemini."""
    parts = message.get("content") or message.get("parts")
    if not isinstance(parts, list):
        return []
    objects = [part for part in parts if isinstance(part, Mapping)]
    return [part for part in objects if part.get("type") == "tool_use" or "functionCall" in part]
