"""Attributes of a call that hold its messages or figures, and could not be read: their task keeps them as they came."""

from __future__ import annotations

from typing import Any

from phospho_gateway.otlp import conventions
from phospho_gateway.otlp.frameworks import USAGES
from phospho_gateway.otlp.spans import Attributes, Span
from phospho_gateway.otlp.values import count_of, is_cut_json, json_object, json_value

# Attributes of every convention that hold the input, and the output, or begin the names of those that do.
_INPUTS = (
    "gen_ai.input.messages", "gen_ai.prompt", "llm.input_messages.", "llm.prompts", "ai.prompt", "request_data",
    "gcp.vertex.agent.llm_request", "langfuse.observation.input", "mlflow.spanInputs", "input.value",
    "traceloop.entity.input", "gen_ai.system_instructions",
)  # fmt: skip
_OUTPUTS = (
    "gen_ai.output.messages", "gen_ai.completion", "llm.output_messages.", "llm.choices.", "ai.response.text",
    "ai.response.object", "ai.response.toolCalls", "response_data", "gcp.vertex.agent.llm_response",
    "langfuse.observation.output", "mlflow.spanOutputs", "output.value", "traceloop.entity.output",
)  # fmt: skip
_BOTH = ("events",)
# A text of the app's in one of these may be JSON that the model has not finished.
_PLAIN_TEXTS = (".content", ".text", "ai.response.text")
# Values of these are JSON even where they are texts.
_QUOTED = ("langfuse.", "mlflow.")
# These repeat the whole request beside its messages, and are cut first.
_REPEATED_BY = {"input.value": "llm.input_messages.", "output.value": "llm.output_messages."}


def unread_attributes(span: Span, *, has_input: bool, has_output: bool) -> list[str]:
    """
    Return the names of attributes that were not read: JSON that was cut, messages of no known shape, counts that are no
    numbers. *has_input* and *has_output* tell whether others gave the task its texts.
    """
    attributes = span.attributes
    names = [name for name, value in attributes.items() if _is_message(name) and _is_cut(name, value, attributes)]
    names += [] if has_input else _names_given(attributes, (*_INPUTS, *_BOTH))
    names += [] if has_output or span.is_error else _names_given(attributes, _OUTPUTS)
    given = {name: value for name in (*conventions.COUNTS, *USAGES) if _is_given(value := attributes.get(name))}
    names += [name for name in conventions.COUNTS if name in given and count_of(given[name]) is None]
    names += [name for name in USAGES if name in given and not json_object(given[name])]
    names += [
        name for name, fields in span.events if name.startswith("gen_ai.") and any(map(is_cut_json, fields.values()))
    ]
    return list(dict.fromkeys(names))


def _is_message(name: str) -> bool:
    return name.startswith((*_INPUTS, *_OUTPUTS)) or name in _BOTH


def _is_cut(name: str, value: Any, attributes: Attributes) -> bool:
    messages = _REPEATED_BY.get(name)
    if messages is not None and any(other.startswith(messages) for other in attributes):
        return False
    if name.endswith(_PLAIN_TEXTS):
        return isinstance(value, str) and value.startswith("[{") and is_cut_json(value)
    if messages is not None and attributes.get(name.replace(".value", ".mime_type")) == "text/plain":
        return False
    is_quoted = name.startswith(_QUOTED) and isinstance(value, str) and value.startswith('"')
    return is_cut_json(value) or (is_quoted and not value.endswith('"'))


def _names_given(attributes: Attributes, names: tuple[str, ...]) -> list[str]:
    return [name for name, value in attributes.items() if name.startswith(names) and _is_given(value)]


def _is_given(value: Any) -> bool:
    return json_value(value) not in (None, "", '""', "null", [], {})
