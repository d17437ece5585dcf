"""Which spans of a trace belong together: as far as they came in one export."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from phospho_gateway.otlp.conventions import identity_of, is_llm
from phospho_gateway.otlp.spans import Identity, Span

# How far up a span looks for its kin; a deeper tree is taken as several.
_MAX_GENERATIONS = 64


class Family:
    """
    The spans of one trace in one export: which of them are tasks, and which task each of the others is a step of.

    A task is a span that calls a model, unless a span above it does: where a framework and a client library both
    tell of one call, the outer one is the task, and the inner one its step.

    A step belongs to the task above it; else to the tasks below it or below the nearest span above it; else to the
    tasks of the trace. Of several, to the first that ended no earlier than the step, which may have used what the
    step found, or to the last. In a family without a task nothing belongs to anything.
    """

    def __init__(self, spans: Sequence[Span]) -> None:
        self._spans = {span.span_id: span for span in spans}
        self._calls = {span.span_id for span in self._spans.values() if is_llm(span)}
        tasks = [span for span in self._spans.values() if span.span_id in self._calls and not self._is_inner(span)]
        self.tasks = sorted(tasks, key=_by_end)
        self._identities: dict[str, Identity] = {}
        self._below: dict[str, list[Span]] = {}
        for task in self.tasks:
            for span in self.lineage(task):
                self._below.setdefault(span.span_id, []).append(task)

    def lineage(self, span: Span) -> list[Span]:
        """Return a span and those above it, the nearest first; of a ring of parents the span alone."""
        line = [span]
        while len(line) <= _MAX_GENERATIONS and (above := self._spans.get(line[-1].parent_id)) is not None:
            if above is span:
                return [span]
            line.append(above)
        return line

    def steps(self) -> dict[str, list[Span]]:
        """Return the steps of each task by the task's span id, in the order of their start."""
        task_ids = {task.span_id for task in self.tasks}
        steps: dict[str, list[Span]] = {task_id: [] for task_id in task_ids}
        if self.tasks:
            for span in sorted(self._spans.values(), key=_by_start):
                if span.span_id not in task_ids:
                    steps[self._task_of(span).span_id].append(span)
        return steps

    def identity(self, span: Span) -> Identity:
        """Return the session and the user of the nearest of a span and those above it that name one."""
        line = [self._own_identity(member) for member in self.lineage(span)] + [span.origin.resource.identity]
        return Identity(
            next((own.session_id for own in line if own.session_id), ""),
            next((own.user_id for own in line if own.user_id), ""),
        )

    def is_call(self, span: Span) -> bool:
        """Tell whether a span calls a model, be it a task or a step."""
        return span.span_id in self._calls

    def _own_identity(self, span: Span) -> Identity:
        """Read what one span names, once: thousands may be below it."""
        if span.span_id not in self._identities:
            self._identities[span.span_id] = identity_of(span.attributes)
        return self._identities[span.span_id]

    def _is_inner(self, span: Span) -> bool:
        return any(above.span_id in self._calls for above in self.lineage(span)[1:])

    def _task_of(self, step: Span) -> Span:
        near = (self._below[span.span_id] for span in self.lineage(step) if span.span_id in self._below)
        kin = next(near, self.tasks)
        place = bisect_left(kin, step.end_ns, key=lambda task: task.end_ns)
        return kin[min(place, len(kin) - 1)]


def _by_end(span: Span) -> tuple[int, str]:
    return span.end_ns, span.span_id


def _by_start(span: Span) -> tuple[int, str]:
    return span.start_ns, span.span_id
