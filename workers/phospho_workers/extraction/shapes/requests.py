"""The user's text and the system prompt of a request to a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from phospho_workers.extraction.shapes.content import USER_ROLES, content_text, first_text, last_turn, messages_of

_SYSTEM_ROLES = frozenset({"system", "developer"})
_SYSTEM_FIELDS = ("system", "instructions", "systemInstruction", "system_instruction")


def input_text(value: Any) -> str:
    """Return the user's text: plain text unchanged, or the last turn of the user in a request or message list."""
    if isinstance(value, str):
        return value
    return first_text(value, (_user_turn, _prompt)) if value is not None else ""


def system_prompt(value: Any) -> str:
    """Return the system prompt of a request or a message list; empty where there is none."""
    if isinstance(value, Mapping):
        for field in _SYSTEM_FIELDS:
            if value.get(field):
                return content_text(value[field])
    system = [message for message in messages_of(value) if message["role"] in _SYSTEM_ROLES]
    return "\n".join(content_text(message.get("content")) for message in system)


def _user_turn(value: Any) -> str | None:
    messages = messages_of(value)
    return last_turn(messages, USER_ROLES) if messages else None


def _prompt(value: Any) -> str | None:
    """Read a completion request (`prompt`), a response request (`input`), or one message."""
    if not isinstance(value, Mapping):
        return None
    for field in ("prompt", "input", "content", "contents"):
        if field in value and value[field] is not None:
            return content_text(value[field])
    return None
