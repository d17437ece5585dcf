"""
Inputs and outputs of a model, as messages of OpenAI's shape, which extraction reads.

Each convention has its own place for them; the first one with a value is taken. A value that is not made of messages
stays a text or an object, which extraction recognises by its shape.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from phospho_gateway.otlp.spans import Attributes, Span
from phospho_gateway.otlp.values import indexed, json_object, json_objects, json_text, json_value

Message = dict[str, Any]

# Events whose fields are what other libraries write as attributes.
_DETAIL_EVENTS = (
    "gen_ai.client.inference.operation.details",
    "gen_ai.content.prompt",
    "gen_ai.content.completion",
)
# The events of the conventions before 1.37, with the role of the speaker.
_INPUT_EVENTS = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
}
_CHOICE_EVENT = "gen_ai.choice"


def input_of(span: Span) -> Any:
    """Return the input messages, or the text or object in their place; None if the span has no input."""
    attributes = _with_details(span)
    messages = (
        _genai_messages(attributes.get("gen_ai.input.messages"), "user")
        or [_of_event(_INPUT_EVENTS[name], fields) for name, fields in span.events if name in _INPUT_EVENTS]
        or [_openinference(flat, "user") for flat in indexed(attributes, "llm.input_messages.")]
        or [_openllmetry(flat, "user") for flat in indexed(attributes, "gen_ai.prompt.")]
    )
    return messages or _first(attributes, _INPUT_TEXTS)


def outputs_of(span: Span) -> list[Any]:
    """Return the output messages, those with content first, or the text or object in their place."""
    attributes = _with_details(span)
    messages = (
        _genai_messages(attributes.get("gen_ai.output.messages"), "assistant")
        or [_of_choice(fields) for name, fields in span.events if name == _CHOICE_EVENT]
        or [_openinference(flat, "assistant") for flat in indexed(attributes, "llm.output_messages.")]
        or [_openllmetry(flat, "assistant") for flat in indexed(attributes, "gen_ai.completion.")]
    )
    if messages:
        return sorted(messages, key=lambda message: not message.get("content"))
    answer = _first(attributes, _OUTPUT_TEXTS)
    return [] if answer is None else [answer]


def system_prompt_of(span: Span) -> str:
    """Return the instructions that a call has apart from its messages, empty without any."""
    value = json_value(_with_details(span).get("gen_ai.system_instructions"))
    if isinstance(value, list):
        return "\n".join(text for part in value if isinstance(part, dict) and (text := json_text(part.get("content"))))
    return json_text(value)


def _with_details(span: Span) -> Attributes:
    """Return the attributes of a span, with those of its events that other libraries write as attributes."""
    details = [fields for name, fields in span.events if name in _DETAIL_EVENTS]
    if not details:
        return span.attributes
    return {name: value for attributes in (span.attributes, *details) for name, value in attributes.items()}


def _genai_messages(value: Any, role: str) -> list[Message]:
    """Read `gen_ai.input.messages` and `gen_ai.output.messages`: lists of messages that consist of parts."""
    return [message for sent in json_objects(value) for message in _split(sent, role)]


def _split(sent: Message, role: str) -> Iterable[Message]:
    """Return a message in OpenAI's shape, where each result of a tool is a message by itself."""
    parts = sent.get("parts")
    if not isinstance(parts, list):
        yield {"role": role} | sent
        return
    objects = [part for part in parts if isinstance(part, dict)]
    for part in objects:
        if part.get("type") == "tool_call_response":
            result = part["response"] if "response" in part else part.get("result")
            yield {"role": "tool", "tool_call_id": json_text(part.get("id")), "content": json_text(result)}
    message = _of_parts([part for part in objects if part.get("type") != "tool_call_response"])
    if message:
        yield {"role": sent.get("role") or role} | message


def _of_parts(parts: list[Message]) -> Message:
    message: Message = {}
    if contents := [_content(part) for part in parts if part.get("type") not in ("tool_call", "reasoning")]:
        only_text = len(contents) == 1 and contents[0]["type"] == "text"
        message["content"] = contents[0]["text"] if only_text else contents
    if calls := [_call(part) for part in parts if part.get("type") == "tool_call"]:
        message = {"content": None} | message | {"tool_calls": calls}
    if thoughts := [json_text(part.get("content")) for part in parts if part.get("type") == "reasoning"]:
        message = {"content": None} | message | {"reasoning": "\n".join(thoughts)}
    return message


def _content(part: Message) -> Message:
    """Return a part in OpenAI's shape. Other parts than text keep their description and lose their bytes."""
    if part.get("type", "text") == "text":
        return {"type": "text", "text": json_text(part.get("content", part.get("text")))}
    described = {name: value for name, value in part.items() if name != "content"}
    return described | {"type": json_text(part["type"]), "size_characters": len(json_text(part.get("content")))}


def _call(part: Message) -> Message:
    function = {"name": part.get("name"), "arguments": json_text(part.get("arguments"))}
    return {"id": part.get("id"), "type": "function", "function": function}


def _of_event(role: str, attributes: Attributes) -> Message:
    """Read a `gen_ai.*.message` event, whose fields are attributes, or JSON in one attribute."""
    body = json_object(attributes.get("gen_ai.event.content")) or attributes
    message: Message = {"role": body.get("role") or role, "content": json_value(body.get("content"))}
    if body.get("tool_calls"):
        message["tool_calls"] = json_value(body["tool_calls"])
    if role == "tool" and body.get("id"):
        message["tool_call_id"] = body["id"]
    return message


def _of_choice(attributes: Attributes) -> Message:
    """Read a `gen_ai.choice` event: its message is an object, JSON or text, or its fields are the event's."""
    body = json_object(attributes.get("gen_ai.event.content")) or attributes
    message = json_value(body.get("message"))
    if message is not None and not isinstance(message, dict):
        message = {"content": message, "tool_calls": body.get("tool_calls")}
    return _of_event("assistant", body if message is None else message)


def _openinference(flat: Attributes, role: str) -> Message:
    """Read one of `llm.input_messages` or `llm.output_messages`, whose names are spelled out with dots."""
    message: Message = {"role": flat.get("message.role") or role, "content": flat.get("message.content")}
    if len(flat) <= len(message):
        return message
    if contents := indexed(flat, "message.contents."):
        message["content"] = [_openinference_content(content) for content in contents]
    if calls := indexed(flat, "message.tool_calls."):
        message["tool_calls"] = [_call_of(call, "tool_call.id", "tool_call.function.") for call in calls]
    if identifier := flat.get("message.tool_call_id"):
        message["tool_call_id"] = identifier
    return message


def _openinference_content(flat: Attributes) -> Message:
    kind = flat.get("message_content.type")
    if kind in (None, "text"):
        return {"type": "text", "text": json_text(flat.get("message_content.text"))}
    return {"type": kind, "url": flat.get("message_content.image.image.url")}


def _openllmetry(flat: Attributes, role: str) -> Message:
    """Read one of the older `gen_ai.prompt.N` or `gen_ai.completion.N`."""
    content = flat.get("content")
    parts = json_objects(content)
    is_parts = bool(parts) and all("type" in part for part in parts)
    message: Message = {"role": flat.get("role") or role, "content": parts if is_parts else content}
    if calls := indexed(flat, "tool_calls."):
        message["tool_calls"] = [_call_of(call, "id", "") for call in calls]
    if identifier := flat.get("tool_call_id"):
        message["tool_call_id"] = identifier
    return message


def _call_of(flat: Attributes, id_name: str, prefix: str) -> Message:
    function = {"name": flat.get(f"{prefix}name"), "arguments": json_text(flat.get(f"{prefix}arguments"))}
    return {"id": flat.get(id_name), "type": "function", "function": function}


def _completions(prefix: str, name: str) -> Callable[[Attributes], Any]:
    """Return a reader of OpenInference's completions: `llm.prompts.0.prompt.text` and its like."""
    return lambda attributes: next((flat[name] for flat in indexed(attributes, prefix) if flat.get(name)), None)


def _named(name: str) -> Callable[[Attributes], Any]:
    return lambda attributes: json_value(attributes.get(name))


_INPUT_TEXTS = (
    _named("gen_ai.prompt"),
    _completions("llm.prompts.", "prompt.text"),
    _named("ai.prompt.messages"),
    _named("input.value"),
    _named("traceloop.entity.input"),
)
_OUTPUT_TEXTS = (
    _named("gen_ai.completion"),
    _completions("llm.choices.", "completion.text"),
    _named("ai.response.text"),
    _named("output.value"),
    _named("traceloop.entity.output"),
)


def _first(attributes: Attributes, readers: Iterable[Callable[[Attributes], Any]]) -> Any:
    """Return the first value, as a type that a log may have: text, an object or a list."""
    for read in readers:
        value = read(attributes)
        if value is not None and value != "":
            return value if isinstance(value, (str, dict, list)) else json_text(value)
    return None
