"""Steps of a task: calls of models and tools, retrievals and traced functions, as the task's metadata has them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, Protocol

from .._content.json_values import text_of, to_jsonable
from .._content.logged_value import LoggedValue
from .._content.streamed_answer import StreamedAnswer
from .._content.task_content import OnError

__all__ = ["MAX_STEPS", "Step", "StepFields", "StepOwner", "StepReceiver"]

# An agent in a loop must not grow without bound.
MAX_STEPS = 100
# Of a streamed answer, no more is kept for its step.
_MAX_ANSWER_CHARACTERS = 100_000


class StepOwner(Protocol):
    """A task that was logged, to which steps may still be added. Never raises."""

    def add_steps(self, steps: Sequence[StepFields]) -> None: ...


class StepFields(dict[str, Any]):
    """One step as its task's metadata has it. `task` has taken it, perhaps before its end."""

    task: StepOwner | None = None


class Step:
    """One step, begun when it is made. *kind* is "llm", "tool", "retriever", "chain", "agent" or another word."""

    __slots__ = ("_began_s", "fields")

    def __init__(self, kind: str, input: Any, name: str = "", step_id: Any = None, parent_id: Any = None) -> None:
        self._began_s = time.perf_counter()
        self.fields = StepFields(
            kind=kind,
            input=LoggedValue(input).json,
            started_at=datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        )
        ids = {"name": name, "span_id": step_id, "parent_span_id": parent_id}
        self.fields.update({field: text_of(value) for field, value in ids.items() if value})

    def end(self, output: Any, error: BaseException | None = None) -> None:
        """Set the result, the duration, and the model and token counts that the output carries."""
        result = LoggedValue(output)
        self._end({"model": result.model(), **result.usage()}, error)
        if error is None and self.fields["kind"] != _EMBEDDING:
            self.fields["output"] = result.json if self.fields["kind"] != "llm" else result.output_text()

    def end_stream(self, answer: StreamedAnswer, error: BaseException | None) -> None:
        """Set the answer as far as it came, and its figures. A task that has taken the step gets them, too."""
        self._end(answer.figures(), error)
        if answer.chunks:
            self.fields["output"] = answer.text()
        if self.fields.task is not None:
            self.fields.task.add_steps([self.fields])

    def _end(self, figures: Mapping[str, Any], error: BaseException | None) -> None:
        self.fields["latency_ms"] = round((time.perf_counter() - self._began_s) * 1000, 3)
        if error is not None:
            self.fields["error"] = {"type": type(error).__name__, "message": text_of(error)}
        self.fields.update({name: to_jsonable(figures[name]) for name in _FIGURES if figures.get(name) is not None})


class StepReceiver:
    """Receives the chunks of a streamed answer for its step."""

    def __init__(self, step: Step, on_error: OnError) -> None:
        self._step = step
        self.count_error = on_error

    def add_chunk(self, answer: StreamedAnswer, chunk: Any) -> None:
        """Add one chunk, while there is room. Never raises."""
        try:
            if not answer.is_full:
                answer.add(chunk, LoggedValue(chunk), self.count_error)
                answer.is_full = answer.chunks % 100 == 0 and len(answer.text()) > _MAX_ANSWER_CHARACTERS
        except Exception as error:  # the edge between the app's stream and the SDK
            self.count_error("tracing", error)

    def finish_chunks(self, answer: StreamedAnswer, error: BaseException | None, last: Any) -> None:
        """End the step. Never raises."""
        try:
            answer.count(LoggedValue(last))
            self._step.end_stream(answer, error)
        except Exception as fault:  # the edge between the app's stream and the SDK
            self.count_error("tracing", fault)


_EMBEDDING = "embedding"  # its output are thousands of numbers
_FIGURES = ("model", "tokens_in", "tokens_out")
