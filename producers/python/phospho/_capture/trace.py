"""Traces: the tasks that a block or a function logs, grouped in one session."""

from __future__ import annotations

from contextvars import ContextVar, Token
from functools import wraps
from typing import Any, Callable, Optional, TypeVar, cast, overload

from .._ids import new_id

__all__ = ["current_trace", "trace", "tracer"]

F = TypeVar("F", bound=Callable[..., Any])
Ids = tuple[Optional[str], Optional[str]]

_CURRENT: ContextVar[tracer | None] = ContextVar("phospho_tracer", default=None)


class tracer:
    """
    Group the tasks logged inside. A context manager and a decorator, for threads and asyncio alike.

    All tasks get `session_id`. The first `phospho.log` is the task `task_id` itself. Every other task, those of
    `wrap` and `auto_log` too, has an id of its own, and `task_id` as `trace_id` in its metadata. Arguments of a
    `log` win over the trace.
    """

    def __init__(
        self,
        task_id: str | None = None,
        session_id: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._fixed_ids = (task_id, session_id)
        self.metadata = dict(metadata or {})
        self.task_id = task_id or new_id()
        self.session_id = session_id or new_id()
        self._is_claimed = False
        self._tokens: list[Token[tracer | None]] = []

    def __enter__(self) -> tracer:
        self._tokens.append(_CURRENT.set(self))
        return self

    def __exit__(self, *exception: object) -> None:
        _CURRENT.reset(self._tokens.pop())

    def __call__(self, function: F) -> F:
        """Trace each call of *function*. Ids that were not given are new for each call."""
        return _traced(function, self._fixed_ids, self.metadata)

    def claim(self) -> str:
        """Return `task_id` the first time, and new ids after that."""
        if self._is_claimed:
            return new_id()
        self._is_claimed = True
        return self.task_id


def current_trace() -> tracer | None:
    """Return the innermost active tracer, or None."""
    return _CURRENT.get()


@overload
def trace(task_id: F) -> F: ...


@overload
def trace(task_id: str | None = ..., session_id: str | None = ..., metadata: dict[str, Any] | None = ...) -> tracer: ...


def trace(
    task_id: str | Callable[..., Any] | None = None,
    session_id: str | None = None,
    metadata: dict[str, Any] | None = None,
) -> Any:
    """Trace each call of a function: `@phospho.trace`, or `@phospho.trace(session_id=…, metadata=…)`."""
    if callable(task_id):
        return tracer()(task_id)
    return tracer(task_id, session_id, metadata)


def _traced(function: F, ids: Ids, metadata: dict[str, Any]) -> F:
    from inspect import iscoroutinefunction  # costs 10 ms, which an app without traces need not pay

    if iscoroutinefunction(function):

        @wraps(function)
        async def traced_coroutine(*args: Any, **kwargs: Any) -> Any:
            with tracer(ids[0], ids[1], metadata):
                return await function(*args, **kwargs)

        return cast(F, traced_coroutine)

    @wraps(function)
    def traced(*args: Any, **kwargs: Any) -> Any:
        with tracer(ids[0], ids[1], metadata):
            return function(*args, **kwargs)

    return cast(F, traced)
