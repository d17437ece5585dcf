"""
Text, system prompt, model and usage out of what LLM clients send and get back.

Recognised by shape, so that any client in any language may log its objects as they are: OpenAI chat completions
and responses, message lists, Anthropic messages, Gemini contents, Ollama, and lists of streamed chunks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

_SYSTEM_ROLES = frozenset({"system", "developer"})
_USER_ROLES = frozenset({"user", "human"})
_ASSISTANT_ROLES = frozenset({"assistant", "ai", "model", "chatbot"})


@dataclass(frozen=True)
class Usage:
    """What a call used: tokens, and milliseconds where the server says them."""

    tokens_in: int | None = None
    tokens_out: int | None = None
    latency_ms: float | None = None


def input_text(value: Any) -> str:
    """Return what the user asked: text as it is, or the last turn of the user in a request or a message list."""
    if isinstance(value, str):
        return value
    return _first_text(value, (_user_turn, _prompt)) if value is not None else ""


def output_text(value: Any) -> str:
    """Return what the app answered: text as it is, or the answer in a response, a message list or chunks."""
    if isinstance(value, str):
        return value
    readers = (_choices, _answer_field, _responses_output, _candidates, _assistant_turn, _content, _chunks)
    return _first_text(value, readers) if value is not None else ""


def system_prompt(value: Any) -> str:
    """Return the system prompt of a request or a message list; empty where there is none."""
    if isinstance(value, Mapping):
        for field in ("system", "instructions", "systemInstruction", "system_instruction"):
            if value.get(field):
                return _content_text(value[field])
    return "\n".join(_content_text(m.get("content")) for m in _messages(value) if m.get("role") in _SYSTEM_ROLES)


def model_name(*values: Any) -> str:
    """Return the model that the first of `values` names; empty where none does."""
    for value in values:
        if isinstance(value, Mapping):
            model = value.get("model") or value.get("modelVersion")
            if isinstance(model, str) and model:
                return model
    return ""


def usage(value: Any) -> Usage:
    """Return what a response says of its use; the last chunk of a stream says it for all."""
    if isinstance(value, list):
        found = (usage(item) for item in reversed(value) if isinstance(item, Mapping))
        return next((use for use in found if use != Usage()), Usage())
    if not isinstance(value, Mapping):
        return Usage()
    counts = next((value[f] for f in ("usage", "usageMetadata") if isinstance(value.get(f), Mapping)), value)
    duration_ns = value.get("total_duration")
    return Usage(
        _count(counts, "prompt_tokens", "input_tokens", "promptTokenCount", "prompt_eval_count"),
        _count(counts, "completion_tokens", "output_tokens", "candidatesTokenCount", "eval_count"),
        duration_ns / 1e6 if isinstance(duration_ns, int | float) and duration_ns >= 0 else None,
    )


def json_text(value: Any) -> str:
    """Return `value` as JSON; what JSON can't hold is named by its type."""
    return orjson.dumps(value, default=lambda unknown: f"<{type(unknown).__name__}>").decode()


def _first_text(value: Any, readers: Iterable[Callable[[Any], str | None]]) -> str:
    for read in readers:
        text = read(value)
        if text is not None:
            return text
    return json_text(value)


def _count(counts: Mapping[str, Any], *fields: str) -> int | None:
    for field in fields:
        count = counts.get(field)
        if isinstance(count, int) and not isinstance(count, bool) and count >= 0:
            return count
    return None


def _messages(value: Any) -> list[Mapping[str, Any]]:
    """Return the messages of a request or of a list; empty where `value` holds none."""
    if isinstance(value, Mapping):
        value = value.get("messages") or value.get("contents") or value.get("input")
    if not isinstance(value, list):
        return []
    return [m for m in value if isinstance(m, Mapping) and isinstance(m.get("role"), str)]


def _last_turn(messages: list[Mapping[str, Any]], roles: frozenset[str]) -> str | None:
    """Return the last run of messages with one of `roles`, joined by line breaks."""
    turn: list[str] = []
    for message in reversed(messages):
        if message["role"] in roles:
            turn.append(_message_text(message))
        elif turn:
            break
    return "\n".join(reversed(turn)) if turn else None


def _user_turn(value: Any) -> str | None:
    messages = _messages(value)
    return _last_turn(messages, _USER_ROLES) if messages else None


def _assistant_turn(value: Any) -> str | None:
    if isinstance(value, Mapping) and isinstance(value.get("message"), Mapping):
        return _message_text(value["message"])
    messages = _messages(value)
    return _last_turn(messages, _ASSISTANT_ROLES) if messages else None


def _prompt(value: Any) -> str | None:
    """Read a completion request (`prompt`), a response request (`input`), or one message."""
    if not isinstance(value, Mapping):
        return None
    for field in ("prompt", "input", "content", "contents"):
        if field in value and value[field] is not None:
            return _content_text(value[field])
    return None


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
    return _message_text(message) if isinstance(message, Mapping) else ""


def _message_text(message: Mapping[str, Any]) -> str:
    """Return the text of a message; where it only refuses or calls tools, the refusal or the calls as JSON."""
    text = _content_text(message.get("content") if "content" in message else message.get("parts"))
    if text:
        return text
    if isinstance(message.get("refusal"), str):
        return str(message["refusal"])
    calls = message.get("tool_calls") or message.get("function_call")
    return json_text(calls) if calls else ""


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
    parts = [_message_text(item) for item in value["output"] if isinstance(item, Mapping) and "content" in item]
    return "\n".join(part for part in parts if part)


def _candidates(value: Any) -> str | None:
    if not isinstance(value, Mapping) or not isinstance(value.get("candidates"), list):
        return None
    contents = [c.get("content") for c in value["candidates"][:1] if isinstance(c, Mapping)]
    return "\n".join(_content_text(content) for content in contents)


def _content(value: Any) -> str | None:
    return _message_text(value) if isinstance(value, Mapping) and "content" in value else None


def _chunks(value: Any) -> str | None:
    """Join a list of streamed chunks, each of them text or a chunk object."""
    if not isinstance(value, list) or not value:
        return None
    if not all(isinstance(chunk, str | Mapping) for chunk in value):
        return None
    return "".join(output_text(chunk) for chunk in value)


def _content_text(content: Any) -> str:
    """Return the text of a message's content: a string, a list of parts, or an object that holds parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, Mapping):
        if "parts" in content:
            return _content_text(content["parts"])
        text = content.get("text") or content.get("content") or ""
        return text if isinstance(text, str) else _content_text(text)
    if isinstance(content, list):
        parts = (_content_text(part) for part in content)
        return "\n".join(part for part in parts if part)
    return ""
