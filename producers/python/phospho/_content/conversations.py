"""Conversations of any client library: lists of messages with a role."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from .fields import as_list, list_field, read
from .message_parts import calls_text, content_text

__all__ = ["Message", "conversation_of", "last_text", "system_text"]

# Roles of OpenAI, Anthropic, Gemini and LangChain.
_ROLES = {
    "user": "user",
    "human": "user",
    "HumanMessageChunk": "user",
    "assistant": "assistant",
    "ai": "assistant",
    "AIMessageChunk": "assistant",
    "model": "assistant",
    "system": "system",
    "developer": "system",
    "tool": "tool",
    "function": "tool",
}

# Fields that hold the list of messages in a call: OpenAI and Anthropic, Responses, Gemini.
_LIST_FIELDS = ("messages", "input", "contents")

# Fields that hold the system prompt beside the messages: Anthropic and Ollama, Responses, Gemini.
_SYSTEM_FIELDS = ("system", "instructions", "system_instruction", "systemInstruction", "system_prompt")


class Message(NamedTuple):
    """One message, whose role is "user", "assistant", "system" or "tool"."""

    role: str
    text: str | None


def conversation_of(value: Any) -> list[Message] | None:
    """Return the messages of a list, a call's arguments or one message. None if *value* is no conversation."""
    if isinstance(value, (list, tuple)):
        return _messages(as_list(value))
    for field in _LIST_FIELDS:
        messages = _messages(list_field(value, field))
        if messages is not None:
            return messages
    contents = read(value, "contents")
    if isinstance(contents, str):
        return [Message("user", contents)]
    message = _message(value)
    return None if message is None else [message]


def last_text(conversation: Sequence[Message], role: str) -> str | None:
    """Return the last consecutive messages of *role*, joined by newlines. None if there are none."""
    run: list[str] = []
    for message in reversed(conversation):
        if message.role == role:
            run.append(message.text or "")
        elif run:
            break
    return "\n".join(reversed(run)) if run else None


def system_text(value: Any, conversation: Sequence[Message]) -> str | None:
    """Return the system fields of a call and the system messages of its conversation, joined by newlines."""
    texts = [_field_text(part, field) for part in (value, read(value, "config")) for field in _SYSTEM_FIELDS]
    texts += [message.text for message in conversation if message.role == "system"]
    return "\n".join(filter(None, texts)) or None


def _field_text(value: Any, field: str) -> str | None:
    content = read(value, field)
    parts = read(content, "parts")
    text = content_text(parts if parts is not None else content)
    return text if isinstance(text, str) else None


def _messages(values: Sequence[Any]) -> list[Message] | None:
    """Return *values* as messages if one of them has a role. Those without (calls, results) get the role "tool"."""
    messages = [_message(value) for value in values]
    if not any(messages):
        return None
    return [message or Message("tool", None) for message in messages]


def _message(value: Any) -> Message | None:
    if isinstance(value, (list, tuple)) and len(value) == 2 and _is_role(value[0]):
        return Message(_ROLES[value[0]], content_text(value[1]))
    role = read(value, "role")
    if role is None:
        role = read(value, "type")
    return Message(_ROLES[role], _message_text(value)) if _is_role(role) else None


def _is_role(role: Any) -> bool:
    return isinstance(role, str) and role in _ROLES


def _message_text(message: Any) -> str | None:
    parts = read(message, "parts")
    text = content_text(parts if isinstance(parts, (list, tuple)) else read(message, "content"))
    if text:
        return text
    refusal = read(message, "refusal")
    if isinstance(refusal, str):
        return refusal
    return calls_text(list_field(message, "tool_calls")) or text
