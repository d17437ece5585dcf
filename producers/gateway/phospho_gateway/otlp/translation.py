"""
Spans as raw logs: each call of a model is a task, and the other spans of its trace are steps in its metadata.

Pure, and a function of one export alone: the same export, sent again, makes the same logs with the same ids.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from phospho_gateway.otlp import conventions, messages
from phospho_gateway.otlp.spans import Attributes, Span
from phospho_gateway.otlp.steps import step_of, steps_of
from phospho_gateway.otlp.traces import Trace
from phospho_gateway.otlp.unread import unread_attributes
from phospho_gateway.otlp.values import bounded, cut
from phospho_schemas.ids import derived_uuid

MAX_ATTRIBUTES = 64
MAX_ATTRIBUTE_CHARACTERS = 4_000
_MAX_SCOPE_CHARACTERS = 200


class Translation(NamedTuple):
    """
    The raw logs of an export, the number of spans that are steps of them, the steps whose task is in another export,
    and the number of all other spans; for each attribute that could not be read, the number of tasks that have it.
    """

    logs: list[dict[str, Any]]
    steps: int
    loose_steps: list[dict[str, Any]]
    unattached: int
    unread: Counter[str]


def raw_logs(spans: Sequence[Span]) -> Translation:
    """Return the logs of the spans of one export, trace by trace, each trace in the order in which its calls ended."""
    spans_by_trace: dict[str, list[Span]] = {}
    for span in spans:
        spans_by_trace.setdefault(span.trace_id, []).append(span)
    logs: list[dict[str, Any]] = []
    loose_steps: list[dict[str, Any]] = []
    unread: Counter[str] = Counter()
    step_count = 0
    for trace in map(Trace, spans_by_trace.values()):
        steps = trace.steps_by_task()
        step_count += sum(map(len, steps.values()))
        logs += [_log(task, steps[task.span_id], trace, unread) for task in trace.tasks]
        if not trace.tasks:
            loose_steps += [_loose_step(span) for span in trace.spans if conventions.kind_of(span.attributes)]
    unattached = len(spans) - len(logs) - step_count - len(loose_steps)
    return Translation(logs, step_count, loose_steps, unattached=unattached, unread=unread)


def _loose_step(span: Span) -> dict[str, Any]:
    """Return the raw log of a step whose task is in another export; readers join them by the trace."""
    return {"trace_id": span.trace_id, "step": step_of(span)}


def task_id_of(span: Span) -> str:
    """
    Return the id of a task, derived from the span's trace id, span id and start, which never change.

    With the start in front, ids sort by time, as all that we make do.
    """
    return derived_uuid(span.start_ns // 1_000_000, "otlp", span.trace_id, span.span_id)


def _log(task: Span, steps: Sequence[Span], trace: Trace, unread: Counter[str]) -> dict[str, Any]:
    """Return the raw log of a task, and count *unread* attributes. Calls inside it fill in what its span leaves out."""
    calls = [task, *(step for step in steps if trace.is_call(step))]
    own_input, own_outputs = messages.input_of(task), messages.outputs_of(task)
    outputs = own_outputs or _first(messages.outputs_of(call) for call in reversed(calls[1:])) or []
    unread_names = unread_attributes(task, has_input=bool(own_input), has_output=bool(own_outputs))
    unread.update(unread_names)
    identity = trace.identity_of(task)
    log = {
        "task_id": task_id_of(task),
        "session_id": identity.session_id or task.trace_id,
        "user_id": identity.user_id,
        "version_id": task.origin.resource.version_id,
        "client_created_at": task.start_ns / 1e9 if task.start_ns else None,
        "input": own_input or _first(messages.input_of(call) for call in calls[1:]) or "",
        "output": outputs[0] if outputs else None,
        "raw_output": outputs if len(outputs) > 1 else None,
        "system_prompt": _first(messages.system_prompt_of(call) for call in calls),
        "metadata": _metadata(task, calls, steps, unread_names),
    }
    return {name: value for name, value in log.items() if value is not None}


def _metadata(task: Span, calls: Sequence[Span], steps: Sequence[Span], unread: Sequence[str]) -> dict[str, Any]:
    attributes = conventions.other_attributes(task.attributes, unread)
    shown_steps = steps_of(steps)
    counts = [messages.tokens_of(call.attributes) for call in calls]
    metadata = {
        "model": _first(conventions.first_text(call.attributes, conventions.MODEL) for call in calls),
        "tokens_in": _tokens([tokens_in for tokens_in, _ in counts]),
        "tokens_out": _tokens([tokens_out for _, tokens_out in counts]),
        "latency_ms": task.latency_ms,
        "trace_id": task.trace_id,
        "span_id": task.span_id,
        "parent_span_id": task.parent_id,
        "span_name": cut(task.name, MAX_ATTRIBUTE_CHARACTERS),
        "instrumentation": cut(task.origin.scope, _MAX_SCOPE_CHARACTERS),
        "error": {name: cut(text, MAX_ATTRIBUTE_CHARACTERS) for name, text in conventions.error_of(task).items()},
        "steps": shown_steps,
        "steps_dropped": len(steps) - len(shown_steps) or None,
        "attributes": _bounded(attributes),
        "attributes_dropped": max(len(attributes) - MAX_ATTRIBUTES, 0) or None,
        "resource": task.origin.resource.shown,
    }
    metadata = {name: value for name, value in metadata.items() if value not in ("", None, {}, [])}
    return conventions.app_properties(task.attributes) | metadata


def _tokens(counts: Sequence[int | None]) -> int | None:
    """Return the tokens of a task: those on its own span, the first, else the sum over the calls inside, never both."""
    if counts[0] is not None:
        return counts[0]
    reported = [count for count in counts if count is not None]
    return sum(reported) if reported else None


def _bounded(attributes: Attributes) -> Attributes:
    first = list(attributes.items())[:MAX_ATTRIBUTES]
    return {cut(name, MAX_ATTRIBUTE_CHARACTERS): bounded(value, MAX_ATTRIBUTE_CHARACTERS) for name, value in first}


def _first(values: Iterable[Any]) -> Any:
    """Return the first value that is not empty, or None."""
    return next((value for value in values if value), None)
