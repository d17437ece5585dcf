"""Conversations of any client library: lists of messages with a role."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from .envelopes import langchain_fields
from .parts import content_parts, is_result, joined, message_parts

__all__ = ["ASSISTANT", "SYSTEM", "TOOL", "USER", "Message", "conversation_of", "last_text", "messages_of"]

USER, ASSISTANT, SYSTEM, TOOL = "user", "assistant", "system", "tool"

# Roles of OpenAI, Anthropic, Gemini, Cohere and LangChain.
_ROLES = {
    "user": USER,
    "user_input": USER,
    "human": USER,
    "humanmessagechunk": USER,
    "assistant": ASSISTANT,
    "ai": ASSISTANT,
    "aimessagechunk": ASSISTANT,
    "model": ASSISTANT,
    "model_output": ASSISTANT,
    "chatbot": ASSISTANT,
    "system": SYSTEM,
    "developer": SYSTEM,
    "tool": TOOL,
    "function": TOOL,
}

# Fields that hold the list of messages in a call: OpenAI and Anthropic, Responses, Gemini, Assistants.
_LIST_FIELDS = ("messages", "input", "contents", "thread", "additional_messages")


# Levels of lists and `messages` in one another: a batch of one in LangChain's prompt has two.
_MAX_DEPTH = 4


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
    value = langchain_fields(value)
    lists = [value.get(field) for field in _LIST_FIELDS]
    if value.get("object") == "list":
        lists.append(value.get("data"))  # a page of messages of an Assistants thread
    for listed in lists:
        messages = messages_of(listed)
        if messages is not None:
            return messages
    message = _message(value)
    return None if message is None else [message]


def messages_of(values: Any, depth: int = _MAX_DEPTH) -> list[Message] | None:
    """Return *values* as messages if one of them has a role or is the result of a tool, else None."""
    if depth < 0:
        return None
    if isinstance(values, Mapping):
        message = _message(values)
        return messages_of(values.get("messages"), depth - 1) if message is None else [message]
    if not isinstance(values, (list, tuple)):
        return None
    if len(values) == 1 and isinstance(values[0], (list, tuple)) and _message(values[0]) is None:
        return messages_of(values[0], depth - 1)  # a batch of one
    messages = [_message(value) for value in _in_order(values)]
    if not any(messages):
        return None
    return [message or Message(TOOL, "") for message in messages]


def _in_order(values: Sequence[Any]) -> Sequence[Any]:
    """Return messages in the order in which they were said: the Assistants API lists the latest first."""
    if len(values) < 2 or not all(
        isinstance(each, Mapping) and each.get("object") == "thread.message" for each in values
    ):
        return values
    first, last = values[0].get("created_at"), values[-1].get("created_at")
    is_ascending = isinstance(first, (int, float)) and isinstance(last, (int, float)) and first < last
    return values if is_ascending else values[::-1]


def last_text(conversation: Sequence[Message], role: str) -> str | None:
    """Return the last consecutive messages of *role*, joined by line breaks. None if there are none."""
    run: list[str] = []
    for message in reversed(conversation):
        if message.role == role:
            run.append(message.text)
        elif run:
            break
    return "\n".join(filter(None, reversed(run))) if run else None


def _message(value: Any) -> Message | None:
    if isinstance(value, (list, tuple)):
        is_pair = len(value) == 2 and isinstance(value[0], str) and value[0].lower() in _ROLES
        return Message(_ROLES[value[0].lower()], joined(content_parts(value[1]))) if is_pair else None
    if not isinstance(value, Mapping):
        return None
    value = langchain_fields(value)
    if isinstance(value.get("message"), Mapping) and value.get("type") in (USER, ASSISTANT):
        value = value["message"]  # Claude's Agent SDK
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
