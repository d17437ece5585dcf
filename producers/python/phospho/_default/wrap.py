"""Logging every call of a function: its arguments as input, what it returns or yields as output."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence, Set
from functools import partial, wraps
from typing import Any, Callable, TypeVar, cast, overload

from .._capture.generators import as_generator_function
from .._capture.stream_log import Stop, StreamLog
from .._capture.streams import watch_stream, watched
from .._capture.task_log import TaskLog
from .._content.task_content import LogCall
from .._logger import error_text, logger
from .state import STATE

__all__ = ["wrap", "wrap_function"]

# Functions, class methods and static methods keep their type under mypy --strict.
F = TypeVar("F", bound="Callable[..., Any] | classmethod[Any, ..., Any] | staticmethod[..., Any]")

# Arguments of a wrapped function that are passed on to `log`.
_SHARED_ARGUMENTS = ("session_id", "task_id", "user_id", "version_id")

_RECEIVERS = ("self", "cls")


@overload
def wrap(__fn: F, *, stream: bool = ..., stop: Stop | None = ..., **meta_kwargs: Any) -> F: ...


@overload
def wrap(__fn: None = ..., *, stream: bool = ..., stop: Stop | None = ..., **meta_kwargs: Any) -> Callable[[F], F]: ...


def wrap(
    __fn: F | None = None,
    *,
    stream: bool = False,
    stop: Stop | None = None,
    **meta_kwargs: Any,
) -> Any:
    """
    Log each call of a function. A decorator, with or without arguments.

    Functions, coroutine functions and generators stay what they are. Generators are logged when they end. If a call
    raises or is cancelled, its input is logged with the exception as `error`.

    Args:
        stream: The function returns an iterable whose values are chunks of one output. A call with the argument
            `stream=True` sets it for itself.
        stop: Returns True for the value that ends the output. The app gets that value, but it is not logged.
        **meta_kwargs: Arguments of `phospho.log`, and metadata.

    Raises:
        TypeError: the wrapped object cannot be called.
    """
    if __fn is None:
        return partial(wrap_function, stream=stream, stop=stop, **meta_kwargs)
    return wrap_function(__fn, stream=stream, stop=stop, **meta_kwargs)


def wrap_function(__fn: F, stream: bool = False, stop: Stop | None = None, **meta_wrap_kwargs: Any) -> F:
    """Return *__fn* with logging. See `wrap`."""
    if isinstance(__fn, (classmethod, staticmethod)):
        inner = wrap_function(__fn.__func__, stream, stop, **meta_wrap_kwargs)
        return cast(F, type(__fn)(inner))
    if not callable(__fn):
        raise TypeError(f"phospho.wrap takes a function, not {type(__fn).__name__}")
    names = _parameter_names(__fn)

    def observe(args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Observation:
        shared = {name: kwargs[name] for name in _SHARED_ARGUMENTS if isinstance(kwargs.get(name), (str, int))}
        return _Observation(
            input=_input_of(names, args, kwargs),
            arguments={**shared, **meta_wrap_kwargs},
            is_stream=stream or kwargs.get("stream") is True,
            stop=stop,
        )

    return cast(F, _observed(__fn, observe))


def _observed(function: Callable[..., Any], observe: Callable[..., _Observation]) -> Callable[..., Any]:
    from inspect import iscoroutinefunction  # costs 10 ms, which an app without wrap need not pay

    if iscoroutinefunction(function):

        @wraps(function)
        async def wrapped_coroutine(*args: Any, **kwargs: Any) -> Any:
            observation = observe(args, kwargs)
            try:
                output = await function(*args, **kwargs)
            except BaseException as error:
                observation.log_error(error)
                raise
            return observation.log_output(output)

        return wrapped_coroutine

    @wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        observation = observe(args, kwargs)
        try:
            output = function(*args, **kwargs)
        except BaseException as error:
            observation.log_error(error)
            raise
        return observation.log_output(output)

    return as_generator_function(wrapped, function)


class _Observation:
    """One call of a wrapped function."""

    def __init__(self, input: Any, arguments: dict[str, Any], is_stream: bool, stop: Stop | None) -> None:
        self._input = input
        self._arguments = arguments
        self._is_stream = is_stream
        self._stop = stop
        self._began = time.perf_counter()

    def log_output(self, output: Any) -> Any:
        """Log *output* and return it, or an equivalent whose chunks are logged as the app iterates."""
        client = STATE.client
        if client is None:
            logger.warning("phospho: a call of a wrapped function is not logged. Call phospho.init() before it.")
            return output
        try:
            return self._logged(client.task_log, output)
        except Exception as error:  # the edge between the app's function and the SDK
            client.task_log.count_error("wrap", error)
            return output

    def log_error(self, error: BaseException) -> None:
        """Log the input with the *error* that the function has raised."""
        client = STATE.client
        if client is None:
            return
        try:
            call = self._call(client.task_log, None, latency_ms=self._elapsed_ms(), error=error_text(error))
            client.task_log.submit_quietly(call)
        except Exception as fault:  # the edge between the app's function and the SDK
            client.task_log.count_error("wrap", fault)

    def _logged(self, task_log: TaskLog, output: Any) -> Any:
        from inspect import isasyncgen, isawaitable, isgenerator

        if isawaitable(output):
            return self._awaited(output)
        if isgenerator(output) or isasyncgen(output):
            return watch_stream(output, self._stream_log(task_log))
        if self._is_stream and _is_collection(output):
            # The app gets its list back, with its length and its indexes.
            for _ in watched(iter(output), self._stream_log(task_log)):
                pass
            return output
        if self._is_stream and _is_iterable(output):
            return watch_stream(output, self._stream_log(task_log))
        task_log.submit_quietly(self._call(task_log, output, latency_ms=self._elapsed_ms()))
        return output

    async def _awaited(self, output: Any) -> Any:
        try:
            awaited = await output
        except BaseException as error:
            self.log_error(error)
            raise
        return self.log_output(awaited)

    def _stream_log(self, task_log: TaskLog) -> StreamLog:
        return StreamLog(task_log, self._call(task_log, None), self._stop)

    def _call(self, task_log: TaskLog, output: Any, **measured: Any) -> LogCall:
        return task_log.call_of(self._input, output, {**measured, **self._arguments})

    def _elapsed_ms(self) -> float:
        return round((time.perf_counter() - self._began) * 1000, 3)


def _is_collection(output: Any) -> bool:
    return isinstance(output, (Sequence, Set)) and not isinstance(output, (str, bytes))


def _is_iterable(output: Any) -> bool:
    if isinstance(output, (str, bytes, Mapping)):
        return False
    return isinstance(output, Iterable) or hasattr(output, "__aiter__")


def _parameter_names(function: Callable[..., Any]) -> list[str]:
    from inspect import Parameter, signature

    try:
        parameters = signature(function).parameters.values()
    except (TypeError, ValueError):  # builtins without a signature
        return []
    positional = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    return [parameter.name for parameter in parameters if parameter.kind in positional]


def _input_of(names: list[str], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return the arguments by name, or a single argument itself. `self` and `cls` are left out."""
    arguments = {names[index] if index < len(names) else str(index): value for index, value in enumerate(args)}
    if names and names[0] in _RECEIVERS:
        arguments.pop(names[0], None)
    arguments.update(kwargs)
    return next(iter(arguments.values())) if len(arguments) == 1 else arguments
