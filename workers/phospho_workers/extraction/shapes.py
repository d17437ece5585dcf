"""
Text, system prompt, model and usage out of what LLM clients send and get back.

Recognised by shape, so that any client in any language may log its objects as they are: OpenAI chat completions
and responses, message lists, Anthropic messages, Gemini contents, Ollama, and lists of streamed chunks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson

from phospho_workers.extraction import fields
from phospho_workers.runtime.records import Unreadable

T = TypeVar("T")

_SYSTEM_ROLES = frozenset({"system", "developer"})
_USER_ROLES = frozenset({"user", "human"})
_ASSISTANT_ROLES = frozenset({"assistant", "ai", "model", "chatbot"})


@dataclass(frozen=True)
class Usage:
    """What a call used: tokens, and milliseconds where the server says them."""

    tokens_in: int | None = None
    tokens_out: int | None = None
    latency_ms: float | None = None


NO_USAGE = Usage()


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
        # Of the chunks of a stream the first one says it.
        for part in value if isinstance(value, list) else [value]:
            if model := _named_model(part):
                return model
    return ""


def usage(value: Any) -> Usage:
    """Return what a response says of its use; of the chunks of a stream, the last word on each number."""
    if isinstance(value, list):
        return _last_words([usage(chunk) for chunk in value if isinstance(chunk, Mapping)])
    if not isinstance(value, Mapping):
        return Usage()
    value = _response_within(value)
    counts = next((value[f] for f in ("usage", "usageMetadata") if isinstance(value.get(f), Mapping)), value)
    duration_ns = fields.duration(value.get("total_duration"))
    return Usage(
        _count(counts, "prompt_tokens", "input_tokens", "promptTokenCount", "prompt_eval_count"),
        _count(counts, "completion_tokens", "output_tokens", "candidatesTokenCount", "eval_count"),
        duration_ns / 1e6 if duration_ns is not None else None,
    )


def json_text(value: Any) -> str:
    """Return `value`, which was read from JSON, as JSON. Raises Unreadable where it is nested too deep to write."""
    try:
        return orjson.dumps(value).decode()
    except TypeError as error:
        raise Unreadable("unencodable", f"a value can't be written as JSON: {error}") from None


def _named_model(value: Any) -> str:
    if not isinstance(value, Mapping):
        return ""
    value = _response_within(value)
    model = value.get("model") or value.get("modelVersion")
    return model if isinstance(model, str) else ""


def _response_within(chunk: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the response that the first or last chunk of a stream carries (Anthropic, Responses); else the chunk."""
    for field, kinds in (("message", ("message_start",)), ("response", ("response.created", "response.completed"))):
        if chunk.get("type") in kinds and isinstance(chunk.get(field), Mapping):
            return dict(chunk[field])
    return chunk


def _last_words(uses: list[Usage]) -> Usage:
    def last(values: Iterable[T | None]) -> T | None:
        return next((value for value in values if value is not None), None)

    uses.reverse()
    return Usage(
        last(use.tokens_in for use in uses),
        last(use.tokens_out for use in uses),
        last(use.latency_ms for use in uses),
    )


def _first_text(value: Any, readers: Iterable[Callable[[Any], str | None]]) -> str:
    for read in readers:
        text = read(value)
        if text is not None:
            return text
    return json_text(value)


def _count(counts: Mapping[str, Any], *names: str) -> int | None:
    for name in names:
        found = fields.count(counts.get(name))
        if found is not None:
            return found
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
        if message["role"] in roles and not _is_tool_result(message):
            turn.append(_message_text(message))
        elif turn:
            break
    return "\n".join(reversed(turn)) if turn else None


def _is_tool_result(message: Mapping[str, Any]) -> bool:
    """Tell whether a message only hands a tool's results to the model, which Anthropic's API has the user do."""
    parts = message.get("content")
    return isinstance(parts, list) and bool(parts) and all(_kind(part) == "tool_result" for part in parts)


def _kind(part: Any) -> Any:
    return part.get("type") if isinstance(part, Mapping) else None


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
    calls = message.get("tool_calls") or message.get("function_call") or _called_parts(message)
    return json_text(calls) if calls else ""


def _called_parts(message: Mapping[str, Any]) -> list[Any]:
    """Return the parts of a message that call tools: Anthropic's and Gemini's."""
    parts = message.get("content") or message.get("parts")
    if not isinstance(parts, list):
        return []
    objects = [part for part in parts if isinstance(part, Mapping)]
    return [part for part in objects if part.get("type") == "tool_use" or "functionCall" in part]


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
    text = "\n".join(part for item in items if "content" in item and (part := _message_text(item)))
    calls = [item for item in items if _kind(item) == "function_call"]
    return json_text(calls) if calls and not text else text


def _candidates(value: Any) -> str | None:
    if not isinstance(value, Mapping) or not isinstance(value.get("candidates"), list):
        return None
    contents = [c.get("content") for c in value["candidates"][:1] if isinstance(c, Mapping)]
    return "\n".join(_message_text(content) for content in contents if isinstance(content, Mapping))


def _content(value: Any) -> str | None:
    return _message_text(value) if isinstance(value, Mapping) and "content" in value else None


def _chunks(value: Any) -> str | None:
    """Join a list of streamed chunks, each of them text or a chunk object."""
    if not isinstance(value, list) or not value:
        return None
    if not all(isinstance(chunk, str | Mapping) for chunk in value):
        return None
    texts = [_chunk_text(chunk) for chunk in value]
    return None if all(text is None for text in texts) else "".join(text for text in texts if text)


def _chunk_text(chunk: str | Mapping[str, Any]) -> str | None:
    """Return what one chunk adds to the answer; None where it is of no kind that carries text."""
    if isinstance(chunk, str):
        return chunk
    delta = chunk.get("delta")
    if isinstance(delta, Mapping):
        return _content_text(delta)
    kind = chunk.get("type")
    if isinstance(kind, str) and kind.startswith("response."):
        # Of the events of a response only the deltas: later ones repeat the text as a whole.
        return delta if kind == "response.output_text.delta" and isinstance(delta, str) else None
    readers = (_choices, _answer_field, _candidates, _assistant_turn, _content)
    return next((text for read in readers if (text := read(chunk)) is not None), None)


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
