"""Calls of `log` as queued events: whole, merged into a task that waits, or chunk by chunk."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

from .._content.json_values import approximate_bytes, copy_of, text_of, to_jsonable
from .._content.keywords import correct_misspelt
from .._content.logged_value import LoggedValue
from .._content.streamed_answer import StreamedAnswer, added_bytes, append_chunk
from .._content.task_content import LogCall, bare_content, build_content, merge_content, usage_fields
from .._delivery.pipeline import Pipeline
from .._delivery.queue import Event
from .._ids import new_id
from .._logger import error_text
from .steps import MAX_STEPS, StepFields
from .trace import current_trace, take_steps, tracer

__all__ = ["LatestIds", "TaskLog"]

_CALL_FIELDS = frozenset(LogCall._fields) - {"input", "output", "extra"}

_ID_FIELDS = ("session_id", "task_id", "user_id", "version_id")


class LatestIds:
    """Ids of the latest task and session."""

    __slots__ = ("session_id", "task_id")

    def __init__(self) -> None:
        self.task_id: str | None = None
        self.session_id: str | None = None


class TaskLog:
    """
    Queues the tasks that an app logs. Thread-safe.

    Only `submit` raises, and only SendError. Faults, the SDK's or those of the app's objects, are counted.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self.latest = LatestIds()
        self._pipeline = pipeline
        self._settings = pipeline.settings
        # By id, the tasks to which steps may still be added.
        self._open_tasks: weakref.WeakValueDictionary[str, _LoggedTask] = weakref.WeakValueDictionary()

    def call_of(self, input: Any, output: Any, arguments: dict[str, Any], claims_trace: bool = False) -> LogCall:
        """
        Return the call of `log` with these *arguments*: with ids, the trace and the defaults applied.

        Arguments that `log` does not have become metadata; misspelt ones are warned of. With *claims_trace* the
        first call of a trace is the traced task itself.
        """
        correct_misspelt(arguments, self._pipeline.counters.warn)
        extra = {name: value for name, value in arguments.items() if name not in _CALL_FIELDS}
        fields = _call_fields(arguments)
        trace = current_trace()
        if trace is not None:
            extra = {**_apply_trace(trace, fields, claims_trace), **extra}
        if self._settings.version_id is not None:
            fields.setdefault("version_id", self._settings.version_id)
        fields.setdefault("task_id", new_id())
        fields.setdefault("session_id", new_id())
        if claims_trace:
            task = self._open_tasks[fields["task_id"]] = _LoggedTask(self, fields["task_id"])
            steps = take_steps(trace, task)
            if steps:
                extra.setdefault("steps", steps)
        return LogCall(input=input, output=output, extra=extra, **fields)

    def submit(self, call: LogCall, to_log: bool = True, concatenate: bool = True) -> dict[str, Any]:
        """Queue *call* and return its content with its `event_id`. Raises SendError if settings ask for it."""
        content = self.submit_quietly(call, to_log, concatenate)
        self._pipeline.raise_failures()
        # The app gets a copy: changing it must not change the queued content. Under the queue's lock, because
        # another thread may merge into this content meanwhile.
        with self._pipeline.queue.changed:
            return {**copy_of(content), "event_id": call.task_id}

    def submit_quietly(self, call: LogCall, to_log: bool = True, concatenate: bool = True) -> dict[str, Any]:
        """Queue *call* and return its content. Never raises."""
        self.latest.task_id, self.latest.session_id = call.task_id, call.session_id
        try:
            built = build_content(call, self._settings.project_id, self.count_error)
            content = self._queue(Event(call.task_id, built, to_log), concatenate)
            open_task = self._open_tasks.get(call.task_id)
            if open_task is not None:
                open_task.set_content(content)
            return content
        except Exception as error:  # the edge between the app and the SDK
            self.count_error("log", error)
            self._pipeline.refuse(call.task_id, "its content could not be read")
            return bare_content(call)

    def add_chunk(self, answer: StreamedAnswer, chunk: Any) -> None:
        """Add one chunk to the task of a stream. The first chunk queues the task. Never raises."""
        try:
            value = LoggedValue(chunk)
            answer.add(chunk, value, self.count_error)
            text = answer.text()
            if answer.chunks == 1:
                self.submit_quietly(answer.call._replace(output=chunk), to_log=False)
            self._extend(answer, text, value)
        except Exception as error:  # the edge between the app's stream and the SDK
            self.count_error("stream", error)

    def finish_chunks(self, answer: StreamedAnswer, error: BaseException | None, last: Any = None) -> None:
        """Complete the task of a stream, so that it is sent. A stream without chunks is its input. Never raises."""
        try:
            if answer.chunks == 0:
                self.submit_quietly(answer.call, to_log=False)
            self._complete(answer, error, last)
        except Exception as fault:  # the edge between the app's stream and the SDK
            self.count_error("stream", fault)

    def join_steps(self, task_id: str, content: dict[str, Any], steps: Sequence[StepFields]) -> dict[str, Any]:
        """Add steps to the waiting event of a task, or log a task that was sent again. Return its content."""
        queue = self._pipeline.queue
        with queue.changed:
            waiting = queue.events.get(task_id)
            if waiting is not None:
                waiting.content["steps"] = _joined_steps(waiting.content, steps)
                self._pipeline.update(waiting, waiting.to_log, approximate_bytes(waiting.content))
                return waiting.content
            # A copy: the content that was sent may be in use.
            content = {**content, "steps": _joined_steps(content, steps)}
        self._pipeline.submit(Event(task_id, content))
        return content

    def count_error(self, source: str, error: BaseException) -> None:
        """Count a fault that is kept from the app."""
        self._pipeline.counters.count_error(source, error)

    def _queue(self, event: Event, concatenate: bool) -> dict[str, Any]:
        """Queue *event*, or merge it into the waiting event of its task. Return the queued content."""
        queue = self._pipeline.queue
        with queue.changed:
            waiting = queue.events.get(event.id)
            if waiting is not None:
                merge_content(waiting.content, event.content, concatenate and not waiting.to_log)
                self._pipeline.update(waiting, event.to_log, approximate_bytes(waiting.content))
                return waiting.content
        self._pipeline.submit(event)
        return event.content

    def _extend(self, answer: StreamedAnswer, text: str, value: LoggedValue) -> None:
        """Add a chunk to the stream's waiting task. There is none if the queue was full at the first chunk."""
        queue = self._pipeline.queue
        with queue.changed:
            waiting = queue.events.get(answer.call.task_id)
            if waiting is None or answer.is_full:
                return
            content = waiting.content
            if answer.chunks == 1:
                content["output"] = text
                return
            grown_bytes = added_bytes(content, text, value.json)
            answer.is_full = not self._pipeline.has_room(waiting, grown_bytes)
            if not answer.is_full:
                append_chunk(content, text, value.json, answer.chunks - 1)
                content.update(answer.figures())
                self._pipeline.update(waiting, False, waiting.size_bytes + grown_bytes)

    def _complete(self, answer: StreamedAnswer, error: BaseException | None, last: Any) -> None:
        call, queue = answer.call, self._pipeline.queue
        answer.count(LoggedValue(last))
        with queue.changed:
            waiting = queue.events.get(call.task_id)
            if waiting is None:
                return
            content = waiting.content
            content.update(answer.figures())
            if call.input_output_to_usage_function is not None:
                content.update(usage_fields(call, LoggedValue(content.get("output")), self.count_error))
            if error is not None:
                content["error"] = error_text(error)
            self._pipeline.update(waiting, True, approximate_bytes(content))


class _LoggedTask:
    """A task that was logged, to which steps may still be added."""

    def __init__(self, log: TaskLog, task_id: str) -> None:
        self._log = log
        self._task_id = task_id
        self._content: dict[str, Any] | None = None
        # Those that came before the first chunk of a stream.
        self._waiting_steps: list[StepFields] = []

    def set_content(self, content: dict[str, Any]) -> None:
        """Set what was queued."""
        self._content = content
        if self._waiting_steps:
            steps, self._waiting_steps = self._waiting_steps, []
            self.add_steps(steps)

    def add_steps(self, steps: Sequence[StepFields]) -> None:
        """Add steps, or replace those that were not over when they were added."""
        try:
            for step in steps:
                step.task = self
            if self._content is None:
                self._waiting_steps += steps
            else:
                self._content = self._log.join_steps(self._task_id, self._content, steps)
        except Exception as error:  # the edge between the app and the SDK
            self._log.count_error("tracing", error)


def _joined_steps(content: dict[str, Any], steps: Sequence[StepFields]) -> list[Any]:
    """Return the steps of a task with further ones. The same step again replaces the first."""
    further = {step.get("span_id"): to_jsonable(step) for step in steps}
    held = content.get("steps")
    joined = [
        further.pop(step.get("span_id"), step) if isinstance(step, dict) else step
        for step in (held if isinstance(held, list) else [])
    ]
    return [*joined, *further.values()][:MAX_STEPS]


def _call_fields(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments that a `LogCall` has, ids as text. The server refuses empty ids: they count as missing."""
    fields = {name: arguments[name] for name in _CALL_FIELDS if arguments.get(name) is not None}
    ids = {name: text_of(fields.pop(name)) for name in _ID_FIELDS if name in fields}
    fields.update({name: id for name, id in ids.items() if id})
    return fields


def _apply_trace(trace: tracer, fields: dict[str, Any], claims_trace: bool) -> dict[str, Any]:
    """Put the trace's ids into *fields* where they are missing, and return its metadata."""
    fields.setdefault("session_id", trace.session_id)
    if "task_id" not in fields:
        fields["task_id"] = trace.claim() if claims_trace else new_id()
    link = {} if fields["task_id"] == trace.task_id else {"trace_id": trace.task_id}
    return {**link, **trace.metadata}
