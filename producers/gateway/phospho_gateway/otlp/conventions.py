"""
Attributes of spans in the conventions of LLM apps: OpenTelemetry's own (`gen_ai.*`), OpenInference
(`openinference.*`, `llm.*`), OpenLLMetry (`traceloop.*`), and those of single frameworks (Vercel's AI SDK, Google's
ADK, Logfire, Langfuse, MLflow, LangSmith). The table is in docs/opentelemetry.md.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from itertools import islice
from typing import Any

from phospho_gateway.otlp.spans import Attributes, Identity, Resource, Span
from phospho_gateway.otlp.values import count_of, json_object, json_text, unquoted

_PROPERTIES = "traceloop.association.properties."
# Properties that an app adds through OpenLLMetry, the AI SDK of Vercel, LangSmith, Langfuse, or upstream phospho's
# tracer.
_PROPERTY_PREFIXES = (
    _PROPERTIES, "ai.telemetry.metadata.", "phospho.metadata.", "langsmith.metadata.", "langfuse.observation.metadata.",
    "langfuse.trace.metadata.",
)  # fmt: skip

# Operations (gen_ai.operation.name, llm.request.type, mlflow.spanType, langfuse.observation.type) in lower case, and
# the kind of step that they are here. Any other operation is a kind of its own, and no call of a model for a text.
_OPERATIONS: Mapping[str, str] = {
    "chat": "llm",
    "chat.completions": "llm",
    "chat.streaming_completions": "llm",
    "chat_completion": "llm",
    "chat_model": "llm",
    "chat_completions": "llm",
    "completion": "llm",
    "completions": "llm",
    "converse": "llm",
    "converse_stream": "llm",
    "invoke_model": "llm",
    "invoke_model_with_response_stream": "llm",
    "acompletion": "llm",
    "anthropic_messages": "llm",
    "aresponses": "llm",
    "atext_completion": "llm",
    "agenerate_content": "llm",
    "generate": "llm",
    "generate_content": "llm",
    "generate_content_stream": "llm",
    "stream_generate_content": "llm",
    "generate_text": "llm",
    "generation": "llm",
    "llm": "llm",
    "messages": "llm",
    "response": "llm",
    "responses": "llm",
    "text.completions": "llm",
    "text.streaming_completions": "llm",
    "text_completion": "llm",
    "text_completions": "llm",
    "text_generation": "llm",
    "embeddings": "embedding",
    "embedding": "embedding",
    "aembedding": "embedding",
    "rerank": "reranker",
    "arerank": "reranker",
    "execute_tool": "tool",
    "invoke_agent": "agent",
    "create_agent": "agent",
    "invoke_workflow": "chain",
    "retrieval": "retriever",
}
# ai.operationId, of the AI SDK of Vercel. Its other spans enclose these.
_VERCEL_OPERATIONS: Mapping[str, str] = {
    "ai.generatetext.dogenerate": "llm",
    "ai.streamtext.dostream": "llm",
    "ai.generateobject.dogenerate": "llm",
    "ai.streamobject.dostream": "llm",
    "ai.generatetext": "chain",
    "ai.streamtext": "chain",
    "ai.generateobject": "chain",
    "ai.streamobject": "chain",
    "ai.toolcall": "tool",
    "ai.embed": "chain",
    "ai.embedmany": "chain",
    "ai.embed.doembed": "embedding",
    "ai.embedmany.doembed": "embedding",
    "ai.rerank": "chain",
    "ai.rerank.dorerank": "reranker",
}
# Attributes that name the kind of a span, the most specific first. Without a table the value itself is the kind.
_KINDS: tuple[tuple[str, Mapping[str, str] | None], ...] = (
    ("openinference.span.kind", None),
    ("gen_ai.operation.name", _OPERATIONS),
    ("traceloop.span.kind", None),
    ("llm.request.type", _OPERATIONS),
    ("ai.operationId", _VERCEL_OPERATIONS),
    ("langfuse.observation.type", _OPERATIONS),
    ("mlflow.spanType", _OPERATIONS),
    ("langsmith.span.kind", None),
)
# A span with none of the kinds above is a call of a model where it names one.
_SIGNS_OF_LLM = (
    "gen_ai.request.model", "gen_ai.response.model", "llm.model_name", "gen_ai.input.messages", "request_data",
)  # fmt: skip

SESSION = (
    "phospho.session_id",
    "gen_ai.conversation.id",
    "session.id",
    "gen_ai.thread.id",
    "langfuse.session.id",
    "gcp.vertex.agent.session_id",
    "langsmith.trace.session_id",
    "mlflow.trace.session",
)
USER = (
    "user.id",
    "enduser.id",
    "gen_ai.user",
    "llm.user",
    "langfuse.user.id",
    "mlflow.trace.user",
)
MODEL = (
    "gen_ai.response.model",
    "llm.response.model_name",
    "llm.model_name",
    "gen_ai.request.model",
    "llm.request.model_name",
    "ai.response.model",
    "ai.model.id",
    "langfuse.observation.model.name",
    "mlflow.llm.model",
)
TOKENS_IN = (
    "gen_ai.usage.input_tokens",
    "llm.token_count.prompt",
    "gen_ai.usage.prompt_tokens",
    "llm.usage.prompt_tokens",
    "ai.usage.inputTokens",
    "ai.usage.promptTokens",
)
TOKENS_OUT = (
    "gen_ai.usage.output_tokens",
    "llm.token_count.completion",
    "gen_ai.usage.completion_tokens",
    "llm.usage.completion_tokens",
    "ai.usage.outputTokens",
    "ai.usage.completionTokens",
)
# Input tokens that were read from or written to the provider's cache, by convention.
_CACHED_TOKENS = (
    ("gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_creation.input_tokens"),
    ("gen_ai.usage.cache_read_input_tokens", "gen_ai.usage.cache_creation_input_tokens"),
    ("llm.token_count.prompt_details.cache_read", "llm.token_count.prompt_details.cache_write"),
    ("ai.usage.cachedInputTokens", "ai.usage.inputTokenDetails.cacheWriteTokens"),
    ("gen_ai.usage.details.cache_read_input_tokens", "gen_ai.usage.details.cache_creation_input_tokens"),
)
COUNTS = (*TOKENS_IN, *TOKENS_OUT, *(name for names in _CACHED_TOKENS for name in names))
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
        "gen_ai.system_instructions", "error.type", "events", "request_data", "response_data", "logfire.json_schema",
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
    "ai.response.object",
    "ai.response.toolCalls",
    "ai.response.reasoning",
    "gcp.vertex.agent.llm_request",
    "gcp.vertex.agent.llm_response",
    "langfuse.observation.input",
    "langfuse.observation.output",
    "langfuse.observation.usage_details",
    "mlflow.chat.tokenUsage",
    "mlflow.spanInputs",
    "mlflow.spanOutputs",
)
# Attributes of a resource that describe the machine.
_MACHINE_PREFIXES = ("telemetry.", "process.", "host.", "os.")


def kind_of(attributes: Attributes) -> str:
    """Return llm, tool, retriever, agent, chain, embedding or another kind that a convention names; else empty."""
    operation = ""
    for name, kinds in _KINDS:
        value = attributes.get(name)
        if isinstance(value, str) and value:
            # MLflow writes the name as JSON.
            name_of_kind = value.strip(' "').lower()
            if kind := name_of_kind if kinds is None else kinds.get(name_of_kind):
                return kind
            operation = operation or name_of_kind
    if operation:
        return operation
    if _holds_adk_request(attributes) or any(name in attributes for name in _SIGNS_OF_LLM):
        return "llm"
    return ""


def _holds_adk_request(attributes: Attributes) -> bool:
    # Google's ADK writes an empty object on the spans of its tools.
    return attributes.get("gcp.vertex.agent.llm_request") not in (None, "", "{}")


def is_llm(span: Span) -> bool:
    """Return True for a call of a generative language model."""
    return kind_of(span.attributes) == "llm"


def first_text(attributes: Attributes, names: Iterable[str]) -> str:
    """Return the first of the named values that is text or a number, as text; empty where none is."""
    for name in names:
        value = attributes.get(name)
        if name.startswith("mlflow."):
            value = unquoted(value)  # MLflow writes its values as JSON.
        if type(value) is str and value:
            return value
        if type(value) is int:
            return str(value)
    return ""


def first_count(attributes: Attributes, names: Iterable[str]) -> int | None:
    """Return the first of the named values that is a count: a whole number of any type, or its digits."""
    counts = (count_of(attributes.get(name)) for name in names)
    return next((count for count in counts if count is not None), None)


def tokens_in(attributes: Attributes) -> int | None:
    """
    Return the input tokens of a span, those from the provider's cache included.

    The conventions want them included, and not every library does it: where more were cached than there are, the count
    is of the others.
    """
    count = first_count(attributes, TOKENS_IN)
    cached = next((total for names in _CACHED_TOKENS if (total := _sum(attributes, names))), 0)
    return count if count is None or count >= cached else count + cached


def tokens_out(attributes: Attributes) -> int | None:
    """Return the output tokens of a span."""
    return first_count(attributes, TOKENS_OUT)


def _sum(attributes: Attributes, names: Iterable[str]) -> int:
    return sum(first_count(attributes, (name,)) or 0 for name in names)


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


def other_attributes(attributes: Attributes, unread: Container[str] = ()) -> Attributes:
    """Return the attributes of a call that have no field of their own in its task, and those that were not read."""
    return {
        name: value
        for name, value in attributes.items()
        if name in unread or (name not in _MAPPED_NAMES and not name.startswith(_MAPPED_PREFIXES))
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
