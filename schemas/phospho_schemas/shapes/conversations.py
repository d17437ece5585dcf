"""Conversations of any client library: lists of messages with a role."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from .parts import content_parts, is_result, joined, message_parts

__all__ = ["ASSISTANT", "SYSTEM", "TOOL", "USER", "Message", "conversation_of", "last_text", "messages_of"]

USER, ASSISTANT, SYSTEM, TOOL = "user", "assistant", "system", "tool"

# Roles of OpenAI, Anthropic, Gemini, Cohere and LangChain.
_ROLES = {
    "user": USER,
    "human": USER,
    "humanmessagechunk": USER,
    "assistant": ASSISTANT,
    "ai": ASSISTANT,
    "aimessagechunk": ASSISTANT,
    "model": ASSISTANT,
    "chatbot": ASSISTANT,
    "system": SYSTEM,
    "developer": SYSTEM,
    "tool": TOOL,
    "function": TOOL,
}

# Fields that hold the list of messages in a call: OpenAI and Anthropic, Responses, Gemini.
_LIST_FIELDS = ("messages", "input", "contents")


class Message(NamedTuple):
    """One message, whose role is USER, ASSISTANT, SYSTEM or TOOL."""

    role: str
    text: str


def conversation_of(value: Any) -> list[Message] | None:
    """Return the messages of a list, a call's arguments or one message. None if *value* is no conversation."""
    if isinstance(value, (list, tuple)):
        return messages_of(value)
    if not isinstance(value, Mapping):
        return None
    for field in _LIST_FIELDS:
        messages = messages_of(value.get(field))
        if messages is not None:
            return messages
    message = _message(value)
    return None if message is None else [message]


def messages_of(values: Any) -> list[Message] | None:
    """Return *values* as messages if one of them has a role or is the result of a tool, else None."""
    if isinstance(values, Mapping):
        message = _message(values)
        return None if message is None else [message]
    if not isinstance(values, (list, tuple)):
        return None
    messages = [_message(value) for value in values]
    if not any(messages):
        return None
    return [message or Message(TOOL, "") for message in messages]


def last_text(conversation: Sequence[Message], role: str) -> str | None:
    """Return the last consecutive messages of *role*, joined by line breaks. None if there are none."""
    run: list[str] = []
    for message in reversed(conversation):
        if message.role == role:
            run.append(message.text)
        elif run:
            break
    return "\n".join(reversed(run)) if run else None


def _message(value: Any) -> Message | None:
    if isinstance(value, (list, tuple)):
        is_pair = len(value) == 2 and isinstance(value[0], str) and value[0].lower() in _ROLES
        return Message(_ROLES[value[0].lower()], joined(content_parts(value[1]))) if is_pair else None
    if not isinstance(value, Mapping):
        return None
    role = _role(value)
    if role is None:
        # An item of Responses. Results of other APIs are parts of messages.
        return Message(TOOL, "") if str(value.get("type")).endswith("_call_output") else None
    if role == USER and _holds_results_only(value):
        return Message(TOOL, "")
    return Message(role, joined(message_parts(value)))


def _role(value: Mapping[str, Any]) -> str | None:
    names = (value.get("role"), value.get("type"))
    return next((_ROLES[name.lower()] for name in names if isinstance(name, str) and name.lower() in _ROLES), None)


def _holds_results_only(message: Mapping[str, Any]) -> bool:
    """Return whether a message holds results of tools alone, which Anthropic and Gemini send in the user's role."""
    parts = message.get("content") or message.get("parts")
    return isinstance(parts, (list, tuple)) and bool(parts) and all(is_result(part) for part in parts)
