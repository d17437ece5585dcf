"""
Attributes of spans in the three conventions of LLM apps: OpenTelemetry's own (`gen_ai.*`), OpenInference
(`openinference.*`, `llm.*`) and OpenLLMetry (`traceloop.*`). The table is in docs/opentelemetry.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from phospho_gateway.otlp.spans import Attributes, Identity, Resource, Span
from phospho_gateway.otlp.values import json_object, json_text

_PROPERTIES = "traceloop.association.properties."
# Properties that an app adds through OpenLLMetry, the AI SDK of Vercel, or upstream phospho's tracer.
_PROPERTY_PREFIXES = (_PROPERTIES, "ai.telemetry.metadata.", "phospho.metadata.")

# gen_ai.operation.name, and the kind of step that it is here.
_OPERATIONS: Mapping[str, str] = {
    "chat": "llm",
    "text_completion": "llm",
    "generate_content": "llm",
    "completion": "llm",
    "embeddings": "embedding",
    "execute_tool": "tool",
    "invoke_agent": "agent",
    "create_agent": "agent",
    "invoke_workflow": "chain",
    "retrieval": "retriever",
}
# llm.request.type, of older releases of OpenLLMetry.
_REQUEST_TYPES: Mapping[str, str] = {
    "chat": "llm",
    "completion": "llm",
    "embedding": "embedding",
    "rerank": "reranker",
}
# ai.operationId, of the AI SDK of Vercel, whose calls of a model are known by their gen_ai attributes.
_VERCEL_OPERATIONS: Mapping[str, str] = {
    "ai.toolCall": "tool",
    "ai.embed.doEmbed": "embedding",
    "ai.embedMany.doEmbed": "embedding",
}
# A span with none of the kinds above is a call of a model where it names one.
_SIGNS_OF_LLM = ("gen_ai.request.model", "gen_ai.response.model", "llm.model_name", "gen_ai.input.messages")

SESSION = (
    "phospho.session_id",
    "gen_ai.conversation.id",
    "session.id",
    "gen_ai.thread.id",
    "langfuse.session.id",
)
USER = (
    "user.id",
    "enduser.id",
    "gen_ai.user",
    "llm.user",
    "langfuse.user.id",
)
MODEL = (
    "gen_ai.response.model",
    "llm.response.model_name",
    "llm.model_name",
    "gen_ai.request.model",
    "llm.request.model_name",
)
TOKENS_IN = (
    "gen_ai.usage.input_tokens",
    "llm.token_count.prompt",
    "gen_ai.usage.prompt_tokens",
    "llm.usage.prompt_tokens",
)
TOKENS_OUT = (
    "gen_ai.usage.output_tokens",
    "llm.token_count.completion",
    "gen_ai.usage.completion_tokens",
    "llm.usage.completion_tokens",
)
# Among the properties that an app adds, LangGraph's thread for example.
_SESSION_PROPERTIES = (
    "session_id", "conversation_id", "thread_id", "chat_id", "sessionId", "conversationId", "threadId", "chatId",
)  # fmt: skip
_USER_PROPERTIES = ("user_id", "userId")

# Attributes that have a field of their own in a task, and are not repeated among its attributes.
_MAPPED_NAMES = frozenset(
    {
        *SESSION, *USER, *MODEL, *TOKENS_IN, *TOKENS_OUT,
        "metadata", "tag.tags", "input.value", "output.value", "input.mime_type", "output.mime_type",
        "openinference.span.kind", "traceloop.span.kind", "gen_ai.operation.name", "llm.request.type",
        "gen_ai.system_instructions", "error.type",
    }
)  # fmt: skip
_MAPPED_PREFIXES = (
    *_PROPERTY_PREFIXES,
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.prompt",
    "gen_ai.completion",
    "llm.input_messages.",
    "llm.output_messages.",
    "llm.prompts",
    "llm.choices.",
    "traceloop.entity.input",
    "traceloop.entity.output",
    "ai.prompt",
    "ai.response.text",
    "ai.response.toolCalls",
)
# Attributes of a resource that describe the machine.
_MACHINE_PREFIXES = ("telemetry.", "process.", "host.", "os.")


def kind_of(attributes: Attributes) -> str:
    """Return llm, tool, retriever, agent, chain, embedding or another kind that a convention names; else empty."""
    for name, kinds in (
        ("openinference.span.kind", None),
        ("gen_ai.operation.name", _OPERATIONS),
        ("traceloop.span.kind", None),
        ("llm.request.type", _REQUEST_TYPES),
        ("ai.operationId", _VERCEL_OPERATIONS),
    ):
        value = attributes.get(name)
        if isinstance(value, str) and (kind := value.lower() if kinds is None else kinds.get(value, "")):
            return kind
    return "llm" if any(name in attributes for name in _SIGNS_OF_LLM) else ""


def is_llm(span: Span) -> bool:
    """Return True for a call of a generative language model."""
    return kind_of(span.attributes) == "llm"


def first_text(attributes: Attributes, names: Iterable[str]) -> str:
    """Return the first of the named values that is text or a number, as text; empty where none is."""
    for name in names:
        value = attributes.get(name)
        if type(value) is str and value:
            return value
        if type(value) is int:
            return str(value)
    return ""


def first_count(attributes: Attributes, names: Iterable[str]) -> int | None:
    """Return the first of the named values that is a count."""
    for name in names:
        value = attributes.get(name)
        if type(value) is int and value >= 0:
            return value
    return None


def app_properties(attributes: Attributes) -> dict[str, Any]:
    """Return what the app itself added: OpenInference's metadata and tags, and properties under a known prefix."""
    properties = dict(json_object(attributes.get("metadata")))
    if tags := attributes.get("tag.tags"):
        properties["tags"] = tags
    for name, value in attributes.items():
        if name.startswith(_PROPERTY_PREFIXES):
            prefix = next(prefix for prefix in _PROPERTY_PREFIXES if name.startswith(prefix))
            properties[name[len(prefix) :]] = value
    return properties


def identity_of(attributes: Attributes) -> Identity:
    """Return the session and the user that attributes name."""
    session, user = first_text(attributes, SESSION), first_text(attributes, USER)
    if session and user:
        return Identity(session, user)
    added = app_properties(attributes)
    return Identity(session or first_text(added, _SESSION_PROPERTIES), user or first_text(added, _USER_PROPERTIES))


def other_attributes(attributes: Attributes) -> Attributes:
    """Return the attributes of a call that have no field of their own in its task."""
    return {
        name: value
        for name, value in attributes.items()
        if name not in _MAPPED_NAMES and not name.startswith(_MAPPED_PREFIXES)
    }


def service_attributes(resource: Attributes) -> Attributes:
    """Return the attributes of a resource that are about the app, not its machine."""
    return {name: value for name, value in resource.items() if not name.startswith(_MACHINE_PREFIXES)}


def error_of(span: Span) -> dict[str, str]:
    """Return type and message of the error that a span ended with, empty without one."""
    exception: Attributes = next((event.attributes for event in span.events if event.name == "exception"), {})
    if not span.is_error and not exception:
        return {}
    error = {
        "type": first_text(span.attributes, ("error.type",)) or first_text(exception, ("exception.type",)),
        "message": span.status_message or first_text(exception, ("exception.message",)),
    }
    return {name: text for name, text in error.items() if text} or {"message": "the span ended with an error"}


_MAX_ATTRIBUTES = 128
# Thousands of tasks may repeat the attributes of one resource.
MAX_SHOWN_CHARACTERS = 1_000
# Longer metadata is not parsed for a session and a user: it is no list of properties.
MAX_METADATA_CHARACTERS = 100_000


def resource_of(attributes: Attributes) -> Resource:
    """Return the resource that its first attributes describe."""
    read = dict(islice(attributes.items(), _MAX_ATTRIBUTES))
    return Resource(
        identity_of(_of_identity(read)), first_text(read, ("service.version",)), _short(service_attributes(read))
    )


def _of_identity(attributes: Attributes) -> Attributes:
    metadata = attributes.get("metadata")
    is_too_long = isinstance(metadata, str) and len(metadata) > MAX_METADATA_CHARACTERS
    return attributes | {"metadata": None} if is_too_long else attributes


def _short(attributes: Attributes) -> Attributes:
    """Return the attributes that fit, in their order."""
    shown: Attributes = {}
    left = MAX_SHOWN_CHARACTERS
    for name, value in attributes.items():
        left -= len(name) + len(json_text(value))
        if left < 0:
            break
        shown[name] = value
    return shown
