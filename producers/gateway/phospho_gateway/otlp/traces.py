"""Traces: which spans of an export are tasks, and which task each other span is a step of."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from phospho_gateway.otlp.conventions import identity_of, is_llm
from phospho_gateway.otlp.messages import input_of, outputs_of
from phospho_gateway.otlp.spans import Identity, Span

# A span looks for its ancestors this far up; a deeper tree is taken as several.
_MAX_DEPTH = 64
# Among more calls below one span, none is looked for that two libraries report.
_MAX_SIBLINGS = 100


class Trace:
    """
    The spans of one trace, as far as they came in one export.

    A task is a span that calls a model, unless a span above it does: where a framework and a client library both
    report one call, the outer span is the task, and the inner one its step. So it is where they report it side by side
    and one without texts, as Anthropic's client does.

    A step belongs to the task above it; else to the tasks below it or below the nearest span above it; else to the
    tasks of the trace. Of several, it belongs to the first that ended no earlier than the step, which may have used
    the step's result, or to the last. In a trace without a task no span belongs to anything.
    """

    def __init__(self, spans: Sequence[Span]) -> None:
        self._spans = {span.span_id: span for span in spans}
        self._call_ids = {span.span_id for span in self._spans.values() if is_llm(span)}
        calls = [span for span in self._spans.values() if span.span_id in self._call_ids]
        outer = [call for call in calls if not self._is_inner(call)]
        self.tasks = sorted(_without_repeated(outer), key=_by_end)
        self._identities: dict[str, Identity] = {}
        self._tasks_below: dict[str, list[Span]] = {}
        for task in self.tasks:
            for span in self._path_up(task):
                self._tasks_below.setdefault(span.span_id, []).append(task)

    @property
    def spans(self) -> list[Span]:
        """Its spans, each once."""
        return list(self._spans.values())

    def steps_by_task(self) -> dict[str, list[Span]]:
        """Return the steps of each task by the task's span id, in the order of their start."""
        task_ids = {task.span_id for task in self.tasks}
        steps: dict[str, list[Span]] = {task_id: [] for task_id in task_ids}
        if self.tasks:
            for span in sorted(self._spans.values(), key=_by_start):
                if span.span_id not in task_ids:
                    steps[self._task_of(span).span_id].append(span)
        return steps

    def identity_of(self, span: Span) -> Identity:
        """Return the session and the user that the nearest of a span and its ancestors names."""
        identities = [self._own_identity(member) for member in self._path_up(span)] + [span.origin.resource.identity]
        return Identity(
            next((identity.session_id for identity in identities if identity.session_id), ""),
            next((identity.user_id for identity in identities if identity.user_id), ""),
        )

    def is_call(self, span: Span) -> bool:
        """Return True for a span that calls a model, be it a task or a step."""
        return span.span_id in self._call_ids

    def _path_up(self, span: Span) -> list[Span]:
        """Return a span and its ancestors, the nearest first; of a ring of parents the span alone."""
        path = [span]
        while len(path) <= _MAX_DEPTH and (parent := self._spans.get(path[-1].parent_id)) is not None:
            if parent is span:
                return [span]
            path.append(parent)
        return path

    def _own_identity(self, span: Span) -> Identity:
        """Read what one span names, once: thousands may be below it."""
        if span.span_id not in self._identities:
            self._identities[span.span_id] = identity_of(span.attributes)
        return self._identities[span.span_id]

    def _is_inner(self, call: Span) -> bool:
        return any(ancestor.span_id in self._call_ids for ancestor in self._path_up(call)[1:])

    def _task_of(self, step: Span) -> Span:
        nearest = (self._tasks_below.get(span.span_id) for span in self._path_up(step))
        candidates = next((tasks for tasks in nearest if tasks), self.tasks)
        index = bisect_left(candidates, step.end_ns, key=lambda task: task.end_ns)
        return candidates[min(index, len(candidates) - 1)]


def _without_repeated(calls: Sequence[Span]) -> list[Span]:
    """Return the calls without those that another library reports beside them, with their texts."""
    siblings: dict[str, list[Span]] = {}
    for call in calls:
        siblings.setdefault(call.parent_id, []).append(call)
    return [
        call for call in calls if not any(_repeats(call, other) for other in siblings[call.parent_id][:_MAX_SIBLINGS])
    ]


def _repeats(call: Span, other: Span) -> bool:
    return (
        call.origin.scope != other.origin.scope
        and other.start_ns <= call.start_ns <= call.end_ns <= other.end_ns
        and not _has_text(call)
        and _has_text(other)
    )


def _has_text(call: Span) -> bool:
    return bool(input_of(call) or outputs_of(call))


def _by_end(span: Span) -> tuple[int, str]:
    return span.end_ns, span.span_id


def _by_start(span: Span) -> tuple[int, str]:
    return span.start_ns, span.span_id
