"""
From spans to raw logs: each call of a model is a task, what else its trace tells of it are steps in its metadata.

Pure, and a function of one export alone: the same export, sent again, makes the same logs with the same ids.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from phospho_gateway.otlp import conventions, messages
from phospho_gateway.otlp.spans import Attributes, Span
from phospho_gateway.otlp.steps import steps_of
from phospho_gateway.otlp.trace_groups import Family
from phospho_gateway.otlp.values import bounded, cut
from phospho_schemas.ids import derived_uuid

MAX_ATTRIBUTES = 64
MAX_ATTRIBUTE_CHARACTERS = 4_000
_MAX_SCOPE_CHARACTERS = 200


class Translation(NamedTuple):
    """The raw logs of an export, how many spans became steps of them, and how many belong to none of them."""

    logs: list[dict[str, Any]]
    steps: int
    unattached: int


def raw_logs(spans: Sequence[Span]) -> Translation:
    """Return what the spans of one export say, trace by trace, each trace in the order in which its calls ended."""
    traces: dict[str, list[Span]] = {}
    for span in spans:
        traces.setdefault(span.trace_id, []).append(span)
    logs: list[dict[str, Any]] = []
    steps = 0
    for trace in traces.values():
        family = Family(trace)
        of_task = family.steps()
        steps += sum(map(len, of_task.values()))
        logs += [_log(task, of_task[task.span_id], family) for task in family.tasks]
    return Translation(logs, steps, len(spans) - len(logs) - steps)


def task_id_of(span: Span) -> str:
    """
    Return the id of the task that a span is: from trace id, span id and start, which no span changes once it began.

    With the start in front, ids sort by time, as all that are made here do.
    """
    return derived_uuid(span.start_ns // 1_000_000, "otlp", span.trace_id, span.span_id)


def _log(task: Span, steps: Sequence[Span], family: Family) -> dict[str, Any]:
    """Return the raw log of a task. What it does not say of the call, the calls inside it say."""
    calls = [task, *(step for step in steps if family.is_call(step))]
    outputs = next((found for call in reversed(calls[1:]) if (found := messages.outputs_of(call))), [])
    outputs = messages.outputs_of(task) or outputs
    identity = family.identity(task)
    log = {
        "task_id": task_id_of(task),
        "session_id": identity.session_id or task.trace_id,
        "user_id": identity.user_id,
        "version_id": task.origin.resource.version_id,
        "client_created_at": task.start_ns / 1e9 if task.start_ns else None,
        "input": _first(messages.input_of(call) for call in calls) or "",
        "output": outputs[0] if outputs else None,
        "raw_output": outputs if len(outputs) > 1 else None,
        "system_prompt": _first(messages.system_prompt_of(call) for call in calls),
        "metadata": _metadata(task, calls, steps),
    }
    return {name: value for name, value in log.items() if value is not None}


def _metadata(task: Span, calls: Sequence[Span], steps: Sequence[Span]) -> dict[str, Any]:
    attributes = conventions.further(task.attributes)
    shown = steps_of(steps)
    told = {
        "model": _first(conventions.first_text(call.attributes, conventions.MODEL) for call in calls),
        "tokens_in": _tokens(calls, conventions.TOKENS_IN),
        "tokens_out": _tokens(calls, conventions.TOKENS_OUT),
        "latency_ms": task.latency_ms,
        "trace_id": task.trace_id,
        "span_id": task.span_id,
        "parent_span_id": task.parent_id,
        "span_name": cut(task.name, MAX_ATTRIBUTE_CHARACTERS),
        "instrumentation": cut(task.origin.scope, _MAX_SCOPE_CHARACTERS),
        "error": {name: cut(text, MAX_ATTRIBUTE_CHARACTERS) for name, text in conventions.error_of(task).items()},
        "steps": shown,
        "steps_dropped": len(steps) - len(shown) or None,
        "attributes": _bounded(attributes),
        "attributes_dropped": max(len(attributes) - MAX_ATTRIBUTES, 0) or None,
        "resource": task.origin.resource.shown,
    }
    said = {name: value for name, value in told.items() if value not in ("", None, {}, [])}
    return conventions.properties(task.attributes) | said


def _tokens(calls: Sequence[Span], names: Sequence[str]) -> int | None:
    """Return the tokens of a task: what it says itself, else the sum over the calls inside it. Never both."""
    if (own := conventions.first_count(calls[0].attributes, names)) is not None:
        return own
    inner = [count for call in calls[1:] if (count := conventions.first_count(call.attributes, names)) is not None]
    return sum(inner) if inner else None


def _bounded(attributes: Attributes) -> Attributes:
    kept = list(attributes.items())[:MAX_ATTRIBUTES]
    return {cut(name, MAX_ATTRIBUTE_CHARACTERS): bounded(value, MAX_ATTRIBUTE_CHARACTERS) for name, value in kept}


def _first(values: Iterable[Any]) -> Any:
    """Return the first value that says something."""
    return next((value for value in values if value), None)
