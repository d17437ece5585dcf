"""Calls of models as steps of a task: `phospho.init(tracing=True)` switches it on."""

from __future__ import annotations

from functools import wraps
from typing import Any, Callable

from .._capture.steps import Step, StepReceiver
from .._capture.stream_log import StreamLog
from .._capture.streams import watch_stream
from .._capture.trace import add_step, current_step, current_trace, tracer
from .._content.task_content import LogCall
from .._ids import new_id
from .state import STATE

__all__ = ["begin_step", "trace_function"]


def trace_function(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return *function* so that each call is a step, which a streamed answer ends."""

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        from inspect import isawaitable

        traced = _TracedCall(function, kwargs)
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            traced.end(None, error)
            raise
        return traced.awaited(result) if isawaitable(result) else traced.ended_by(result)

    return call


def begin_step(function: Callable[..., Any], kwargs: dict[str, Any]) -> StreamLog | None:
    """Begin the step of a call whose answer comes later."""
    return _TracedCall(function, kwargs).stream_log()


class _TracedCall:
    """One call of a model, which belongs to the trace in which it began."""

    def __init__(self, function: Callable[..., Any], kwargs: dict[str, Any]) -> None:
        name = function.__qualname__
        kind = "embedding" if "embed" in name.lower() else "llm"
        self._trace: tracer | None = current_trace()
        self._step = Step(kind, kwargs, name=name, step_id=new_id(), parent_id=current_step())

    async def awaited(self, awaitable: Any) -> Any:
        try:
            result = await awaitable
        except BaseException as error:
            self.end(None, error)
            raise
        return self.ended_by(result)

    def ended_by(self, result: Any) -> Any:
        """Return *result*, or its equivalent if it is a stream, whose end is that of the step."""
        try:
            if hasattr(type(result), "__next__") or hasattr(type(result), "__anext__"):
                return watch_stream(result, self.stream_log())
        except Exception as fault:  # the edge between the app's client and the SDK
            _count_error("tracing", fault)
            return result
        self.end(result)
        return result

    def stream_log(self) -> StreamLog:
        """Keep the step, and return the receiver of its answer."""
        add_step(self._step.fields, self._trace)
        return StreamLog(StepReceiver(self._step, _count_error), LogCall(None, None, task_id="", session_id=""))

    def end(self, result: Any, error: BaseException | None = None) -> None:
        try:
            self._step.end(result, error)
            add_step(self._step.fields, self._trace)
        except Exception as fault:  # the edge between the app's client and the SDK
            _count_error("tracing", fault)


def _count_error(source: str, error: BaseException) -> None:
    if STATE.client is not None:
        STATE.client.task_log.count_error(source, error)
