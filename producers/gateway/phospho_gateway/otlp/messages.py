"""
Inputs and outputs of a model, as messages of OpenAI's shape, which extraction reads.

Each convention has its own place for them; the first one with a value is taken. A value that is not made of messages
stays a text or an object, which extraction recognises by its shape.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from phospho_gateway.otlp import conventions, frameworks
from phospho_gateway.otlp.message_shapes import (
    Message,
    of_choice,
    of_event,
    of_genai,
    of_openinference,
    of_openllmetry,
)
from phospho_gateway.otlp.spans import Attributes, Span, SpanEvent
from phospho_gateway.otlp.values import indexed, json_objects, json_text, json_value, unquoted
from phospho_schemas.shapes.requests import input_text

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
_TOOL_ROLES = ("tool", "function")


def input_of(span: Span) -> Any:
    """Return the input messages, or the text or object in their place; None if the span has no input."""
    attributes = _with_details(span)
    messages = (
        of_genai(attributes.get("gen_ai.input.messages"), "user")
        or [
            message
            for name, fields in _events(span)
            if name in _INPUT_EVENTS
            for message in of_event(_INPUT_EVENTS[name], fields)
        ]
        or [of_openinference(flat, "user") for flat in indexed(attributes, "llm.input_messages.")]
        or [of_openllmetry(flat, "user") for flat in indexed(attributes, "gen_ai.prompt.")]
        or frameworks.adk_input(attributes)
    )
    if messages:
        return messages
    texts = _spring_texts(attributes, "gen_ai.prompt")
    if texts:
        # The user's text is the last one.
        return {"prompt": texts[-1], "texts": texts} if len(texts) > 1 else texts[0]
    return _first(attributes, _INPUT_TEXTS)


def outputs_of(span: Span) -> list[Any]:
    """Return the output messages, those with content first, or the text or object in their place."""
    attributes = _with_details(span)
    messages = (
        of_genai(attributes.get("gen_ai.output.messages"), "assistant")
        or [message for name, fields in _events(span) if name == _CHOICE_EVENT for message in of_choice(fields)]
        or [of_openinference(flat, "assistant") for flat in indexed(attributes, "llm.output_messages.")]
        or [of_openllmetry(flat, "assistant") for flat in indexed(attributes, "gen_ai.completion.")]
        or frameworks.adk_output(attributes)
        or frameworks.vercel_output(attributes)
    )
    if messages:
        is_gemini = _is_gemini(attributes)
        answers = [_as_answer(message, is_gemini=is_gemini) for message in messages]
        return sorted(answers, key=_is_without_words)
    texts = _spring_texts(attributes, "gen_ai.completion")
    if texts:
        return texts
    answer = _first(attributes, _OUTPUT_TEXTS)
    return [] if answer is None else [answer]


def _spring_texts(attributes: Attributes, name: str) -> list[str]:
    """Return a list of plain texts, without empty ones, as Spring AI writes messages; of other values, nothing."""
    value = json_value(attributes.get(name))
    is_list = isinstance(value, list) and all(isinstance(text, str) for text in value)
    return [text for text in value if text] if is_list else []


def _is_without_words(message: Message) -> bool:
    """Return True for an answer that has no text, and for the result of a tool that an agent's answer repeats."""
    return not message.get("content") or message.get("role") in _TOOL_ROLES


def _as_answer(message: Message, *, is_gemini: bool) -> Message:
    """
    Return an output message in the role of a model, whatever its instrumentation calls it, unless it is a tool's.

    Gemini cuts one answer into parts anywhere; extraction joins those of its role without line breaks.
    """
    if message.get("role") in (*_TOOL_ROLES, "model"):
        return message
    return message | {"role": "model" if is_gemini else "assistant"}


def _is_gemini(attributes: Attributes) -> bool:
    """Return True for a model of Gemini; Vertex AI has others' models as well."""
    provider = conventions.first_text(attributes, ("gen_ai.provider.name", "gen_ai.system")).lower()
    model = conventions.first_text(attributes, conventions.MODEL).lower()
    return provider.startswith(("gcp.gemini", "gcp.gen_ai", "gemini", "google")) or "gemini" in model


def tokens_of(attributes: Attributes) -> tuple[int | None, int | None]:
    """Return the input tokens of a call, those from the provider's cache included, and its output tokens."""
    counts = conventions.tokens_in(attributes), conventions.tokens_out(attributes)
    if None not in counts:
        return counts
    reported = frameworks.reported_tokens(attributes)
    return reported[0] if counts[0] is None else counts[0], reported[1] if counts[1] is None else counts[1]


def system_prompt_of(span: Span) -> str:
    """Return the instructions that a call has apart from its messages, empty without any."""
    attributes = _with_details(span)
    value = json_value(attributes.get("gen_ai.system_instructions"))
    if value in (None, "", []):
        return frameworks.system_prompt(attributes)
    if isinstance(value, list):
        return "\n".join(
            text for part in value if (text := json_text(part.get("content") if isinstance(part, dict) else part))
        )
    return json_text(value)


def _with_details(span: Span) -> Attributes:
    """Return the attributes of a span, with those of its events that other libraries write as attributes."""
    details = [fields for name, fields in span.events if name in _DETAIL_EVENTS]
    if not details:
        return span.attributes
    return {name: value for attributes in (span.attributes, *details) for name, value in attributes.items()}


def _events(span: Span) -> list[SpanEvent]:
    """Return the events of a span; Logfire writes them as one attribute."""
    events = json_objects(span.attributes.get("events"))
    return span.events + [SpanEvent(json_text(event.get("event.name")), event) for event in events]


def _completions(prefix: str, name: str) -> Callable[[Attributes], Any]:
    """Return a reader of OpenInference's completions: `llm.prompts.0.prompt.text` and its like."""
    return lambda attributes: next((flat[name] for flat in indexed(attributes, prefix) if flat.get(name)), None)


def _named(name: str) -> Callable[[Attributes], Any]:
    return lambda attributes: json_value(attributes.get(name))


def _quoted(name: str) -> Callable[[Attributes], Any]:
    """Return a reader of an attribute whose texts are JSON, too."""
    return lambda attributes: unquoted(json_value(attributes.get(name)))


def _field(name: str, *fields: str) -> Callable[[Attributes], Any]:
    """Return a reader of a field of an object in JSON; of a cut one, the text as it came."""

    def read(attributes: Attributes) -> Any:
        value = json_value(attributes.get(name))
        return next((value[field] for field in fields if value.get(field)), None) if isinstance(value, dict) else value

    return read


def _entity(name: str, holder: str) -> Callable[[Attributes], Any]:
    """Return a reader of OpenLLMetry's entities: what a chain or a function was called with, and returned."""

    def read(attributes: Attributes) -> Any:
        value = unquoted(json_value(attributes.get(name)))
        if not isinstance(value, dict):
            return value
        if value.keys() == {"args", "kwargs"} and isinstance(value["args"], list):
            return _arguments(value["args"], value["kwargs"])
        return value.get(holder) or value

    return read


def _arguments(positional: list[Any], named: Any) -> Any:
    """Return the arguments of a function: those of one kind by themselves, those of both with the user's text."""
    if not positional:
        return named
    if not named:
        return positional[0] if len(positional) == 1 else positional
    texts = list(filter(None, map(input_text, positional)))
    # Of several texts, such as a method's object and a question, none can be told to be the user's.
    prompt = input_text(named) or (texts[0] if len(texts) == 1 else "")
    return {"args": positional, "kwargs": named} | ({"prompt": prompt} if prompt else {})


_INPUT_TEXTS = (
    _named("gen_ai.prompt"),
    _completions("llm.prompts.", "prompt.text"),
    _named("ai.prompt.messages"),
    _named("ai.prompt"),
    _field("request_data", "messages", "input", "prompt"),
    _quoted("langfuse.observation.input"),
    _quoted("mlflow.spanInputs"),
    _named("input.value"),
    _entity("traceloop.entity.input", "inputs"),
)
_OUTPUT_TEXTS = (
    _named("gen_ai.completion"),
    _completions("llm.choices.", "completion.text"),
    _field("response_data", "message", "combined_chunk_content", "text"),
    _quoted("langfuse.observation.output"),
    _quoted("mlflow.spanOutputs"),
    _named("output.value"),
    _entity("traceloop.entity.output", "outputs"),
)


def _first(attributes: Attributes, readers: Iterable[Callable[[Attributes], Any]]) -> Any:
    """Return the first value, as a type that a log may have: text, an object or a list."""
    for read in readers:
        value = read(attributes)
        if value is not None and value != "":
            return value if isinstance(value, (str, dict, list)) else json_text(value)
    return None
