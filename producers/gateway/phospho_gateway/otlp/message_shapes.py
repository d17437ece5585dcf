"""Messages as conventions write them (parts, events, attributes with dots), each as a message of OpenAI's shape."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from phospho_gateway.otlp.spans import Attributes
from phospho_gateway.otlp.values import indexed, json_object, json_objects, json_text, json_value
from phospho_schemas.shapes.parts import arguments_text

Message = dict[str, Any]


def of_genai(value: Any, role: str) -> list[Message]:
    """
    Read `gen_ai.input.messages` and `gen_ai.output.messages`: lists of messages that consist of parts.

    Plain text, and JSON that was cut, is one message of *role* with the text as it came.
    """
    document = json_value(value)
    if document in (None, "", [], {}):
        return []
    if isinstance(document, dict) and isinstance(document.get("messages"), list):
        document = document["messages"]
    if isinstance(document, dict) and not {"parts", "content", "text", "tool_calls"} & document.keys():
        document = json_text(document)
    return [message for sent in _listed(document) for message in of_parts(_message(sent), role)]


def of_parts(sent: Message, role: str) -> Iterable[Message]:
    """Return a message in OpenAI's shape, where each result of a tool is a message by itself."""
    parts = json_value(sent.get("parts"))
    if not isinstance(parts, list):
        text = sent.get("text") if parts is None and sent.get("content") is None else parts
        content = {} if text is None else {"content": text}
        yield {"role": role} | {name: value for name, value in sent.items() if name != "parts"} | content
        return
    normal = [_normal_part(part) for part in parts]
    for part in normal:
        if part["type"] in _RESULT_PARTS:
            result = part["response"] if "response" in part else part.get("result", part.get("content"))
            yield {"role": "tool", "tool_call_id": json_text(part.get("id")), "content": json_text(result)}
    message = _of_normal_parts([part for part in normal if part["type"] not in _RESULT_PARTS])
    if message := _with_calls_beside(message, sent):
        yield {"role": sent.get("role") or role} | message


def of_event(role: str, attributes: Attributes) -> list[Message]:
    """Read a `gen_ai.*.message` event, whose fields are attributes, or JSON in one attribute."""
    body = _body_of(attributes)
    content = json_value(body.get("content"))
    message: Message = {"role": body.get("role") or role}
    if body.get("tool_calls"):
        message["tool_calls"] = json_value(body["tool_calls"])
    if isinstance(content, list) and any(isinstance(part, dict) and "type" not in part for part in content):
        return list(of_parts(message | {"parts": content}, role))
    message["content"] = content
    if role == "tool" and body.get("id"):
        message["tool_call_id"] = body["id"]
    return [message]


def of_choice(attributes: Attributes) -> list[Message]:
    """Read a `gen_ai.choice` event: its message is an object, JSON or text, or its fields are the event's."""
    body = _body_of(attributes)
    message = json_value(body.get("message"))
    if message is not None and not isinstance(message, dict):
        message = {"content": message, "tool_calls": body.get("tool_calls")}
    return of_event("assistant", body if message is None else message)


# Attributes of an event that hold its fields: Azure's, and those of log records that became events.
_BODIES = ("gen_ai.event.content", "event_body", "body")


def _body_of(attributes: Attributes) -> Attributes:
    """Return the fields of an event; of a body that was cut, the text as it came."""
    body = json_value(next((attributes[name] for name in _BODIES if attributes.get(name)), None))
    return body if isinstance(body, dict) else {"content": body} if body else attributes


def call_of(name: Any, arguments: Any, identifier: Any = None) -> Message:
    """Return the call of a tool in OpenAI's shape."""
    function = {"name": name, "arguments": arguments_text(arguments)}
    return {"id": identifier, "type": "function", "function": function}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _message(sent: Any) -> Message:
    return sent if isinstance(sent, dict) else {"content": json_text(sent)}


_RESULT_PARTS = ("tool_call_response", "server_tool_call_response")
_CALL_PARTS = ("tool_call", "server_tool_call")
_REASONING_PARTS = ("reasoning", "thinking")


def _of_normal_parts(parts: list[Message]) -> Message:
    message: Message = {}
    others = (*_CALL_PARTS, *_REASONING_PARTS)
    if contents := [_content(part) for part in parts if part["type"] not in others]:
        only_text = len(contents) == 1 and contents[0]["type"] == "text"
        message["content"] = contents[0]["text"] if only_text else contents
    if calls := [_call(part) for part in parts if part["type"] in _CALL_PARTS]:
        message = {"content": None} | message | {"tool_calls": calls}
    if thoughts := [json_text(part.get("content")) for part in parts if part["type"] in _REASONING_PARTS]:
        message = {"content": None} | message | {"reasoning": "\n".join(thoughts)}
    return message


def _with_calls_beside(message: Message, sent: Message) -> Message:
    """Add the calls and the refusal that a message has beside its parts, each call once."""
    calls = [call if "function" in call else _call(call) for call in json_objects(sent.get("tool_calls"))]
    calls_of_parts = message.get("tool_calls", [])
    ids_of_parts = {call["id"] for call in calls_of_parts if call["id"]}
    if further := [call for call in calls if call not in calls_of_parts and call.get("id") not in ids_of_parts]:
        message = {"content": None} | message | {"tool_calls": calls_of_parts + further}
    if sent.get("refusal"):
        message = {"content": None} | message | {"refusal": sent["refusal"]}
    return message


def _normal_part(part: Any) -> Message:
    """Return a part of OpenTelemetry's shape, also for one of Bedrock or Gemini, whose kind is the name of a field."""
    if not isinstance(part, dict):
        return {"type": "text", "content": part}
    if isinstance(part.get("type"), str):
        return part
    for names, read in _NAMED_PARTS:
        value = next((part[name] for name in names if isinstance(part.get(name), dict)), None)
        if value is not None:
            return read(value)
    kind = "reasoning" if part.get("thought") is True else "text"
    is_text = "text" in part or "content" in part
    return {"type": kind, "content": part.get("text", part.get("content"))} if is_text else {"type": "data"} | part


def _bedrock_result(value: Message) -> Message:
    parts = value.get("content")
    texts = [part.get("text", part) if isinstance(part, dict) else part for part in _listed(parts)]
    return {"type": "tool_call_response", "id": value.get("toolUseId"), "response": "\n".join(map(json_text, texts))}


# Fields that name the kind of a part: those of Bedrock's Converse, then of Gemini.
_NAMED_PARTS: tuple[tuple[tuple[str, ...], Callable[[Message], Message]], ...] = (
    (("toolUse",), lambda value: {**value, "type": "tool_call", "id": value.get("toolUseId"),
                                  "arguments": value.get("input")}),
    (("toolResult",), _bedrock_result),
    (("reasoningContent",), lambda value: {
        "type": "reasoning", "content": json_object(value.get("reasoningText")).get("text")}),
    (("functionCall", "function_call"), lambda value: {**value, "type": "tool_call", "arguments": value.get("args")}),
    (("functionResponse", "function_response"), lambda value: {**value, "type": "tool_call_response"}),
    (("inlineData", "inline_data"), lambda value: {
        "type": "blob", "mime_type": value.get("mimeType", value.get("mime_type")), "content": value.get("data")}),
    (("image", "document", "video", "audio"), lambda value: {"type": "blob", "format": value.get("format"),
                                                             "content": value.get("source")}),
)  # fmt: skip


def _content(part: Message) -> Message:
    """Return a part in OpenAI's shape. Other parts than text keep their description and lose their bytes."""
    if part["type"] == "text":
        text = part.get("content")
        return {"type": "text", "text": json_text(part.get("text") if text is None else text)}
    if part["type"] == "refusal":
        return {"type": "refusal", "refusal": json_text(part.get("refusal", part.get("content")))}
    described = {name: value for name, value in part.items() if name != "content"}
    return described | {"size_characters": len(json_text(part.get("content")))}


def _call(part: Message) -> Message:
    arguments = part.get("arguments", part.get("server_tool_call"))
    return call_of(part.get("name"), arguments, part.get("id"))


_PLAIN_MESSAGE = {"message.role", "message.content"}


def of_openinference(flat: Attributes, role: str) -> Message:
    """Read one of `llm.input_messages` or `llm.output_messages`, whose names are spelled out with dots."""
    message: Message = {"role": flat.get("message.role") or role, "content": _content_of(flat.get("message.content"))}
    if flat.keys() <= _PLAIN_MESSAGE:
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


def of_openllmetry(flat: Attributes, role: str) -> Message:
    """Read one of the older `gen_ai.prompt.N` or `gen_ai.completion.N`."""
    message: Message = {"role": flat.get("role") or role, "content": _content_of(flat.get("content"))}
    if calls := indexed(flat, "tool_calls."):
        message["tool_calls"] = [_call_of(call, "id", "") for call in calls]
    if name := flat.get("function_call.name"):
        message["tool_calls"] = [call_of(name, flat.get("function_call.arguments"))]
    if identifier := flat.get("tool_call_id"):
        message["tool_call_id"] = identifier
    return message


def _content_of(content: Any) -> Any:
    """Return the parts that a text holds as JSON; any other content as it is."""
    parts = json_objects(content)
    return parts if parts and all("type" in part for part in parts) else content


def _call_of(flat: Attributes, id_name: str, prefix: str) -> Message:
    return call_of(flat.get(f"{prefix}name"), flat.get(f"{prefix}arguments"), flat.get(id_name))
