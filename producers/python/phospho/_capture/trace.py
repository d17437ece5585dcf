"""Traces: the tasks that a block or a function logs, grouped in one session."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import suppress
from contextvars import ContextVar
from functools import wraps
from types import FrameType
from typing import Any, Callable, Optional, TypeVar, cast, overload

from .._content.json_values import MAPPINGS, text_of
from .._ids import new_id
from .._logger import logger
from .generators import aclose, as_generator_function, close
from .steps import MAX_STEPS, Step, StepFields, StepOwner

__all__ = ["add_step", "current_step", "current_trace", "take_steps", "trace", "tracer", "waiting_steps"]

F = TypeVar("F", bound="Callable[..., Any] | classmethod[Any, ..., Any] | staticmethod[..., Any]")
Ids = tuple[Optional[str], Optional[str]]

# The tracers that are open in this context, the innermost last.
_OPEN: ContextVar[tuple[tracer, ...]] = ContextVar("phospho_tracers", default=())

# The same by the frame whose block they are. A web framework may run each step of a generator in another context; its
# frame stays the same. The key is the frame and not its id, which another one may get where the tracer outlives it.
_OPEN_IN_FRAME: dict[FrameType, list[tracer]] = {}

# An app may enter tracers and never leave them. Of more, the oldest count as left, and their frames are let go.
MAX_OPEN = 1000


class tracer:
    """
    Group the tasks logged inside. A context manager and a decorator, for threads and asyncio alike.

    One tracer may be entered by several tasks and threads at once, and left in another context. All tasks get
    `session_id`. The first `phospho.log` is the task `task_id` itself. Every other task, those of `wrap` and
    `auto_log` too, has an id of its own, and `task_id` as `trace_id` in its metadata. Arguments of a `log` win over
    the trace.

    Steps belong to the next log of their trace, and those after its last log to that one. Steps of a trace that ends
    without a log belong to the trace around it. Without one they are no task's, which is warned of.
    """

    def __init__(
        self,
        task_id: str | None = None,
        session_id: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        task_id, session_id = (text_of(id) if id else None for id in (task_id, session_id))
        self._fixed_ids = (task_id, session_id)
        self.metadata = dict(metadata) if isinstance(metadata, MAPPINGS) else {"metadata": metadata} if metadata else {}
        self.task_id = task_id or new_id()
        self.session_id = session_id or new_id()
        # Steps that no task has yet: calls of models, with `init(tracing=True)`.
        self.spans_to_export: list[StepFields] = []
        self.last_task: StepOwner | None = None
        # Set while the app has a value of a traced generator: the trace goes on.
        self.is_suspended = False
        self.logs = 0
        self._is_claimed = False
        self._frames: list[FrameType] = []
        # Set where it was left in another context than it was entered in: there it stays open, and must not count.
        self.is_abandoned = False

    def __enter__(self) -> tracer:
        open_here = [tracer for tracer in _OPEN.get() if not tracer.is_abandoned]
        _OPEN.set((*open_here, self)[-MAX_OPEN:])
        self.is_abandoned = False
        frame = sys._getframe(1)
        self._frames.append(frame)
        in_frame = _OPEN_IN_FRAME.setdefault(frame, [])
        in_frame.append(self)
        if len(in_frame) > MAX_OPEN:
            in_frame.pop(0)._let_go(frame)
        if len(_OPEN_IN_FRAME) > MAX_OPEN:
            _let_go_oldest_frame()
        return self

    def __exit__(self, *exception: object) -> None:
        open_here = _OPEN.get()
        _OPEN.set(_without_last(open_here, self))
        frame = self._take_frame(sys._getframe(1))
        if self not in open_here and not self._frames:
            self.is_abandoned = True
        if frame is not None:
            open_tracers = _without_last(tuple(_OPEN_IN_FRAME.pop(frame, ())), self)
            if open_tracers:
                _OPEN_IN_FRAME[frame] = list(open_tracers)
        if not self._frames:
            self._pass_on_steps(current_trace())

    def _take_frame(self, leaving: FrameType) -> FrameType | None:
        """Forget one entry, and return its frame: that of *leaving*, or the last one if it is left elsewhere."""
        entered = list(self._frames)
        if not entered:
            return None
        frame = leaving if leaving in entered else entered[-1]
        self._let_go(frame)
        return frame

    def _let_go(self, frame: FrameType) -> None:
        with suppress(ValueError):  # another thread has just left it
            self._frames.remove(frame)

    def __call__(self, function: F) -> F:
        """Trace each call of *function*. Ids that were not given are new for each call."""
        return _traced(function, self._fixed_ids, self.metadata)

    def add_step(self, step: StepFields) -> None:
        """Keep a step for the next task of this trace. If the trace is over, its last task gets it."""
        if len(self.spans_to_export) < MAX_STEPS:
            self.spans_to_export.append(step)
        if not self._frames and self.last_task is not None:
            self._pass_on_steps(None)

    def _pass_on_steps(self, outer: tracer | None) -> None:
        """Give the steps that came after the last log to its task; without a log to the *outer* trace."""
        if not self.spans_to_export or self.is_suspended:
            return
        if self.last_task is None and outer is None:
            _warn_of_lost_steps()
            return
        steps, self.spans_to_export = self.spans_to_export, []
        if self.last_task is not None:
            self.last_task.add_steps(steps)
        elif outer is not None:
            outer.spans_to_export += steps[: MAX_STEPS - len(outer.spans_to_export)]

    def claim(self) -> str:
        """Return `task_id` the first time, and new ids after that."""
        if self._is_claimed:
            return new_id()
        self._is_claimed = True
        return self.task_id


def current_trace() -> tracer | None:
    """Return the innermost open tracer, or None."""
    frame = sys._getframe(1) if _OPEN_IN_FRAME else None
    while frame is not None:
        tracers = _OPEN_IN_FRAME.get(frame)
        if tracers:
            return tracers[-1]
        frame = frame.f_back
    return next((tracer for tracer in reversed(_OPEN.get()) if not tracer.is_abandoned), None)


# The traced function that runs in this context, as the step that encloses others.
_STEP: ContextVar[str | None] = ContextVar("phospho_step", default=None)

# The steps of this context outside of tracers. Replaced, never changed: contexts are copied by reference.
_STEPS: ContextVar[tuple[StepFields, ...]] = ContextVar("phospho_steps", default=())

_is_warned = False


def _warn_of_lost_steps() -> None:
    global _is_warned
    if not _is_warned:
        _is_warned = True
        logger.warning(
            "phospho: a trace ended without phospho.log, so its steps are stored nowhere. Call phospho.log inside, "
            "or use phospho.wrap or auto_log=True. Further ones are not reported."
        )


def current_step() -> str | None:
    """Return the id of the traced function that runs in this context."""
    return _STEP.get()


def add_step(step: StepFields, trace: tracer | None) -> None:
    """Keep a step for the next task that is logged in the *trace* in which it began, or without one in this context."""
    if trace is not None:
        trace.add_step(step)
    else:
        _STEPS.set((*_STEPS.get(), step)[-MAX_STEPS:])


def waiting_steps() -> list[dict[str, Any]]:
    """Return the steps that wait for a task in this context, outside of traces."""
    return list(_STEPS.get())


def take_steps(trace: tracer | None, task: StepOwner) -> list[StepFields]:
    """Return the steps that wait for a task, which is *task*, and forget them."""
    if trace is None:
        steps = list(_STEPS.get())
        if steps:
            _STEPS.set(())
    else:
        trace.logs += 1
        trace.last_task = task
        steps, trace.spans_to_export = trace.spans_to_export, []
    for step in steps:
        step.task = task
    return steps


def _let_go_oldest_frame() -> None:
    with suppress(RuntimeError, StopIteration):  # another thread has just entered or left one
        frame = next(iter(_OPEN_IN_FRAME))
        for tracer in _OPEN_IN_FRAME.pop(frame, ()):
            tracer._let_go(frame)


def _without_last(tracers: tuple[tracer, ...], closed: tracer) -> tuple[tracer, ...]:
    for index in range(len(tracers) - 1, -1, -1):
        if tracers[index] is closed:
            return tracers[:index] + tracers[index + 1 :]
    return tracers


@overload
def trace(task_id: F) -> F: ...


@overload
def trace(task_id: str | None = ..., session_id: str | None = ..., metadata: dict[str, Any] | None = ...) -> tracer: ...


def trace(
    task_id: Any = None,
    session_id: str | None = None,
    metadata: dict[str, Any] | None = None,
) -> Any:
    """Trace each call of a function: `@phospho.trace`, or `@phospho.trace(session_id=…, metadata=…)`."""
    if callable(task_id) or isinstance(task_id, (classmethod, staticmethod)):
        return tracer()(task_id)
    return tracer(task_id, session_id, metadata)


def _traced(function: F, ids: Ids, metadata: dict[str, Any]) -> F:
    if isinstance(function, (classmethod, staticmethod)):
        return cast(F, type(function)(_traced(function.__func__, ids, metadata)))
    from inspect import iscoroutinefunction  # costs 10 ms, which an app without traces need not pay

    called = cast("Callable[..., Any]", function)
    if iscoroutinefunction(called):

        @wraps(called)
        async def traced_coroutine(*args: Any, **kwargs: Any) -> Any:
            call = _inner_call(called, ids, metadata, arguments=(args, kwargs))
            if call is None:
                with tracer(ids[0], ids[1] or _outer_session(), metadata):
                    return await called(*args, **kwargs)
            with call:
                call.result = await called(*args, **kwargs)
            return call.result

        return cast(F, traced_coroutine)

    @wraps(called)
    def traced(*args: Any, **kwargs: Any) -> Any:
        call = _inner_call(called, ids, metadata, arguments=(args, kwargs))
        if call is None:
            own = tracer(ids[0], ids[1] or _outer_session(), metadata)
            with own:
                result = called(*args, **kwargs)
            return _traced_later(result, own)
        with call:
            call.result = called(*args, **kwargs)
        return call.result

    return cast(F, as_generator_function(traced, called))


class _InnerCall:
    """A call of a traced function inside a trace: one of its steps. What it logs belongs to that trace."""

    def __init__(self, trace: tracer, step: Step) -> None:
        self.result: Any = None
        self._trace, self._step = trace, step
        self._logs, self._outer_step = trace.logs, _STEP.get()

    def __enter__(self) -> None:
        _STEP.set(self._step.fields["span_id"])

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        _STEP.set(self._outer_step)
        # A task that was logged inside has the steps before it, and this one goes on.
        if self._trace.logs == self._logs:
            try:
                self._step.end(self.result, error)
                self._trace.add_step(self._step.fields)
            except Exception as fault:  # the app's own objects
                logger.warning("phospho: a traced call is no step: %s", fault)


def _inner_call(
    function: Callable[..., Any], ids: Ids, metadata: dict[str, Any], arguments: tuple[Any, dict[str, Any]]
) -> _InnerCall | None:
    """Return the call as a step of the open trace; None without one, or for a function with ids of its own."""
    trace = current_trace()
    if trace is None or any(ids) or metadata or _is_generator(function):
        return None
    args, kwargs = arguments
    if args and hasattr(type(args[0]), getattr(function, "__name__", "")):  # a method's own object
        args = args[1:]
    given = {**{str(index): value for index, value in enumerate(args)}, **kwargs}
    value = next(iter(given.values())) if len(given) == 1 else given
    return _InnerCall(
        trace, Step("chain", value, getattr(function, "__qualname__", ""), step_id=new_id(), parent_id=_STEP.get())
    )


def _outer_session() -> str | None:
    trace = current_trace()
    return None if trace is None else trace.session_id


def _is_generator(function: Callable[..., Any]) -> bool:
    from inspect import isasyncgenfunction, isgeneratorfunction

    return isgeneratorfunction(function) or isasyncgenfunction(function)


def _traced_later(result: Any, own: tracer) -> Any:
    """Return *result*, or its equivalent if its body is yet to run: then it runs inside the trace."""
    from inspect import isasyncgen, iscoroutine, isgenerator

    if isgenerator(result):
        return _traced_generator(result, own)
    if isasyncgen(result):
        return _traced_async_generator(result, own)
    return _traced_awaitable(result, own) if iscoroutine(result) else result


async def _traced_awaitable(coroutine: Any, own: tracer) -> Any:
    with own:
        return await coroutine


def _traced_generator(generator: Generator[Any, Any, Any], own: tracer) -> Generator[Any, Any, Any]:
    """Run each step inside the trace, which is closed while the app has the value."""
    own.is_suspended = True
    try:
        with own:
            value = next(generator)
        while True:
            try:
                sent = yield value
            except GeneratorExit:
                raise
            except BaseException as error:
                with own:
                    value = generator.throw(error)
            else:
                with own:
                    value = generator.send(sent)
    except StopIteration as end:
        return end.value
    finally:
        own.is_suspended = False
        with own:
            close(generator)


async def _traced_async_generator(generator: AsyncGenerator[Any, Any], own: tracer) -> AsyncGenerator[Any, Any]:
    own.is_suspended = True
    try:
        with own:
            value = await generator.__anext__()
        while True:
            try:
                sent = yield value
            except GeneratorExit:
                raise
            except BaseException as error:
                with own:
                    value = await generator.athrow(error)
            else:
                with own:
                    value = await generator.asend(sent)
    except StopAsyncIteration:
        return
    finally:
        own.is_suspended = False
        with own:
            await aclose(generator)
