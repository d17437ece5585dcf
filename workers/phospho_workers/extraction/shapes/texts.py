"""The user's text and the system prompt of a request to a model, and the text of its answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from phospho_workers.extraction.shapes.content import (
    ASSISTANT_ROLES,
    USER_ROLES,
    content_text,
    first_text,
    json_text,
    last_turn,
    message_text,
    messages_of,
    type_of,
)

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


def output_text(value: Any) -> str:
    """Return the app's text: plain text unchanged, or the answer in a response, a message list or chunks."""
    if isinstance(value, str):
        return value
    readers = (_choices, _answer_field, _responses_output, _candidates, _assistant_turn, _content, _chunks)
    return first_text(value, readers) if value is not None else ""


def _choices(value: Any) -> str | None:
    """Read the first choice of a chat completion, a completion, or one chunk of a stream."""
    if not isinstance(value, Mapping) or not isinstance(value.get("choices"), list):
        return None
    if not value["choices"] or not isinstance(value["choices"][0], Mapping):
        return ""
    choice = value["choices"][0]
    if isinstance(choice.get("text"), str):
        return str(choice["text"])
    message = choice.get("message") or choice.get("delta") or {}
    return message_text(message) if isinstance(message, Mapping) else ""


def _answer_field(value: Any) -> str | None:
    """Read Ollama's `response`, a response object's `output_text`, or a plain `text` or `output`."""
    if isinstance(value, Mapping):
        for field in ("response", "output_text", "text", "output"):
            if isinstance(value.get(field), str):
                return str(value[field])
    return None


def _responses_output(value: Any) -> str | None:
    if not isinstance(value, Mapping) or not isinstance(value.get("output"), list):
        return None
    items = [item for item in value["output"] if isinstance(item, Mapping)]
    text = "\n".join(part for item in items if "content" in item and (part := message_text(item)))
    calls = [item for item in items if type_of(item) == "function_call"]
    return json_text(calls) if calls and not text else text


def _candidates(value: Any) -> str | None:
    if not isinstance(value, Mapping) or not isinstance(value.get("candidates"), list):
        return None
    contents = [candidate.get("content") for candidate in value["candidates"][:1] if isinstance(candidate, Mapping)]
    return "\n".join(message_text(content) for content in contents if isinstance(content, Mapping))


def _assistant_turn(value: Any) -> str | None:
    if isinstance(value, Mapping) and isinstance(value.get("message"), Mapping):
        return message_text(value["message"])
    messages = messages_of(value)
    return last_turn(messages, ASSISTANT_ROLES) if messages else None


def _content(value: Any) -> str | None:
    return message_text(value) if isinstance(value, Mapping) and "content" in value else None


def _chunks(value: Any) -> str | None:
    """Join a list of streamed chunks, each of them text or a chunk object."""
    if not isinstance(value, list) or not value:
        return None
    if not all(isinstance(chunk, str | Mapping) for chunk in value):
        return None
    texts = [_chunk_text(chunk) for chunk in value]
    return None if all(text is None for text in texts) else "".join(text for text in texts if text)


def _chunk_text(chunk: str | Mapping[str, Any]) -> str | None:
    """Return the text that one chunk adds to the answer; None for a chunk of a kind without text."""
    if isinstance(chunk, str):
        return chunk
    delta = chunk.get("delta")
    if isinstance(delta, Mapping):
        return content_text(delta)
    kind = chunk.get("type")
    if isinstance(kind, str) and kind.startswith("response."):
        # Only the deltas among the events of a response: later events repeat the whole text.
        return delta if kind == "response.output_text.delta" and isinstance(delta, str) else None
    readers = (_choices, _answer_field, _candidates, _assistant_turn, _content)
    return next((text for read in readers if (text := read(chunk)) is not None), None)
