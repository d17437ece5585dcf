"""Calls of models as steps of a task: `phospho.init(tracing=True)` switches it on."""

from __future__ import annotations

from functools import wraps
from typing import Any, Callable

from .._capture.steps import Step
from .._capture.trace import add_step
from .state import STATE

__all__ = ["trace_function"]


def trace_function(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return *function* so that each call is a step. Of a stream the request and the time to its begin are kept."""

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        from inspect import isawaitable

        step = Step("llm", kwargs, name=function.__qualname__)
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            _add(step, None, error)
            raise
        if isawaitable(result):
            return _awaited(step, result)
        _add(step, result)
        return result

    return call


async def _awaited(step: Step, awaitable: Any) -> Any:
    try:
        result = await awaitable
    except BaseException as error:
        _add(step, None, error)
        raise
    _add(step, result)
    return result


def _add(step: Step, result: Any, error: BaseException | None = None) -> None:
    try:
        step.end(None if hasattr(type(result), "__next__") or hasattr(type(result), "__anext__") else result, error)
        add_step(step.fields)
    except Exception as fault:  # the edge between the app's client and the SDK
        if STATE.client is not None:
            STATE.client.task_log.count_error("tracing", fault)
