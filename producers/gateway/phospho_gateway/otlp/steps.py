"""Steps: what an app did around its call of a model, shortened for the task's metadata."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from phospho_gateway.otlp import conventions
from phospho_gateway.otlp.spans import Attributes, Span
from phospho_gateway.otlp.values import cut, json_text
from phospho_schemas.times import utc_text

MAX_STEPS = 50
MAX_STEP_TEXT_CHARACTERS = 2_000
_MAX_NAME_CHARACTERS = 200

_NAMES = (
    "gen_ai.tool.name",
    "tool.name",
    "ai.toolCall.name",
    "gen_ai.agent.name",
    "agent.name",
    "traceloop.entity.name",
    "ai.telemetry.functionId",
)
_INPUTS = (
    "gen_ai.tool.call.arguments",
    "ai.toolCall.args",
    "gcp.vertex.agent.tool_call_args",
    "gen_ai.retrieval.query.text",
    "input.value",
    "traceloop.entity.input",
    "gen_ai.input.messages",
    "reranker.query",
    "ai.prompt.messages",
    "ai.prompt",
    "ai.value",
    "ai.values",
    "langfuse.observation.input",
    "mlflow.spanInputs",
)
_OUTPUTS = (
    "gen_ai.tool.call.result",
    "ai.toolCall.result",
    "gcp.vertex.agent.tool_response",
    "gen_ai.retrieval.documents",
    "output.value",
    "traceloop.entity.output",
    "gen_ai.output.messages",
    "ai.response.text",
    "ai.response.object",
    "langfuse.observation.output",
    "mlflow.spanOutputs",
)


def steps_of(spans: Sequence[Span]) -> list[dict[str, Any]]:
    """Return the steps in the order of `spans`; of too many, rather those whose kind a convention names."""
    if len(spans) > MAX_STEPS:
        by_kind = sorted(range(len(spans)), key=lambda index: not conventions.kind_of(spans[index].attributes))
        spans = [spans[index] for index in sorted(by_kind[:MAX_STEPS])]
    return [step_of(span) for span in spans]


def step_of(span: Span) -> dict[str, Any]:
    """Return a span as a step, without what is empty."""
    attributes = span.attributes
    step = {
        "span_id": span.span_id,
        "parent_span_id": span.parent_id,
        "name": cut(conventions.first_text(attributes, _NAMES) or span.name, _MAX_NAME_CHARACTERS),
        "kind": cut(conventions.kind_of(attributes), _MAX_NAME_CHARACTERS),
        "started_at": utc_text(datetime.fromtimestamp(span.start_ns // 1_000_000 / 1000, UTC)) if span.start_ns else "",
        "latency_ms": span.latency_ms,
        "input": _text(attributes, _INPUTS),
        "output": _text(attributes, _OUTPUTS),
        "model": cut(conventions.first_text(attributes, conventions.MODEL), _MAX_NAME_CHARACTERS),
        "tokens_in": conventions.tokens_in(attributes),
        "tokens_out": conventions.tokens_out(attributes),
        "error": {name: cut(text, MAX_STEP_TEXT_CHARACTERS) for name, text in conventions.error_of(span).items()},
    }
    return {name: value for name, value in step.items() if value not in ("", None, {})}


def _text(attributes: Attributes, names: Iterable[str]) -> str:
    texts = (json_text(attributes.get(name)) for name in names)
    return cut(next(filter(None, texts), ""), MAX_STEP_TEXT_CHARACTERS)
