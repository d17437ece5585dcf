"""Logging every call of a function: its arguments as input, what it returns or yields as output."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence, Set
from functools import partial, wraps
from typing import Any, Callable, TypeVar, cast, overload

from ._content import LogCall
from ._counters import described, logger
from ._state import STATE
from ._streams import Stop, StreamLog, attach, watched, watched_async

__all__ = ["wrap", "wrap_function"]

# A function and everything that stands for one keep their type, so that mypy --strict sees through `wrap`.
F = TypeVar("F", bound="Callable[..., Any] | classmethod[Any, ..., Any] | staticmethod[..., Any]")

# Arguments of a wrapped function that say the same thing to `log`.
_SHARED_ARGUMENTS = ("session_id", "task_id", "user_id", "version_id")

_RECEIVERS = ("self", "cls")


@overload
def wrap(__fn: F, *, stream: bool = ..., stop: Stop | None = ..., **meta_kwargs: Any) -> F: ...


@overload
def wrap(
    __fn: None = ..., *, stream: bool = ..., stop: Stop | None = ..., **meta_kwargs: Any
) -> Callable[[F], F]: ...


def wrap(
    __fn: F | None = None,
    *,
    stream: bool = False,
    stop: Stop | None = None,
    **meta_kwargs: Any,
) -> Any:
    """
    Return a function that does the same and logs each call; usable as decorator, with arguments or not.

    Coroutine functions and generators, synchronous or not, stay what they are; generators are logged
    when they end. Of a call that raises, or is cancelled, the input is logged, and what it raised as `error`.

    Args:
        stream: The function returns an iterable whose values are chunks of one output. `stream=True`
            among the arguments of a call says so for that call.
        stop: Returns True for the value that ends the output; that value is passed on, not logged.
        **meta_kwargs: Arguments of `phospho.log`, and metadata.

    Raises:
        TypeError: what is to be wrapped cannot be called.
    """
    if __fn is None:
        return partial(wrap_function, stream=stream, stop=stop, **meta_kwargs)
    return wrap_function(__fn, stream=stream, stop=stop, **meta_kwargs)


def wrap_function(__fn: F, stream: bool = False, stop: Stop | None = None, **meta_wrap_kwargs: Any) -> F:
    """Return *__fn* with logging; see `wrap`."""
    if isinstance(__fn, (classmethod, staticmethod)):
        inner = wrap_function(__fn.__func__, stream, stop, **meta_wrap_kwargs)
        return cast(F, type(__fn)(inner))
    if not callable(__fn):
        raise TypeError(f"phospho.wrap takes a function, not {type(__fn).__name__}")
    names = _parameter_names(__fn)

    def observation(args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Observation:
        is_stream = stream or kwargs.get("stream") is True
        return _Observation(_input_of(names, args, kwargs), kwargs, meta_wrap_kwargs, is_stream, stop)

    return cast(F, _observed(__fn, observation))


def _observed(function: Callable[..., Any], observation: Callable[..., _Observation]) -> Callable[..., Any]:
    from inspect import iscoroutinefunction  # costs 10 ms, which an app without wrap need not pay

    if iscoroutinefunction(function):

        @wraps(function)
        async def wrapped_coroutine(*args: Any, **kwargs: Any) -> Any:
            observed = observation(args, kwargs)
            try:
                output = await function(*args, **kwargs)
            except BaseException as error:
                observed.failed(error)
                raise
            return observed.returned(output)

        return wrapped_coroutine

    @wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        observed = observation(args, kwargs)
        try:
            output = function(*args, **kwargs)
        except BaseException as error:
            observed.failed(error)
            raise
        return observed.returned(output)

    return wrapped


class _Observation:
    """One call of a wrapped function."""

    def __init__(
        self, input: Any, kwargs: dict[str, Any], meta: dict[str, Any], is_stream: bool, stop: Stop | None
    ) -> None:
        self._input = input
        shared = {
            name: kwargs[name] for name in _SHARED_ARGUMENTS if isinstance(kwargs.get(name), (str, int))
        }
        self._arguments = {**shared, **meta}
        self._is_stream = is_stream
        self._stop = stop
        self._began = time.perf_counter()

    def returned(self, output: Any) -> Any:
        """Log *output* and return it, or what stands in for it while its chunks are logged."""
        client = STATE.client
        if client is None:
            logger.warning("phospho: a wrapped function was called before phospho.init(): nothing is logged.")
            return output
        try:
            return self._logged(client, output)
        except Exception as error:  # the edge between the app's function and us
            client.count_error("wrap", error)
            return output

    def failed(self, error: BaseException) -> None:
        """Log the input with the *error* that the function has raised."""
        client = STATE.client
        if client is None:
            return
        try:
            said = {"latency_ms": self._elapsed_ms(), "error": described(error)}
            client.submit_quietly(self._call(client, None, **said))
        except Exception as fault:  # the edge between the app's function and us
            client.count_error("wrap", fault)

    def _logged(self, client: Any, output: Any) -> Any:
        from inspect import isasyncgen, isawaitable, isgenerator

        if isawaitable(output):
            return self._awaited(output)
        if isgenerator(output):
            return watched(output, self._stream_log(client))
        if isasyncgen(output):
            return watched_async(output, self._stream_log(client))
        if self._is_stream and _is_collection(output):
            # All chunks at once; the app gets its list back, with its length and its indexes.
            for _ in watched(iter(output), self._stream_log(client)):
                pass
            return output
        if self._is_stream and _is_iterable(output):
            return self._streamed(client, output)
        client.submit_quietly(self._call(client, output, latency_ms=self._elapsed_ms()))
        return output

    async def _awaited(self, output: Any) -> Any:
        try:
            awaited = await output
        except BaseException as error:
            self.failed(error)
            raise
        return self.returned(awaited)

    def _streamed(self, client: Any, output: Any) -> Any:
        """Watch a client library's stream in place, so that it keeps its methods; else by a generator."""
        stream_log = self._stream_log(client)
        try:
            attach(output, stream_log)
            return output
        except (TypeError, AttributeError):
            if hasattr(output, "__aiter__"):
                return watched_async(output.__aiter__(), stream_log)
            return watched(iter(output), stream_log)

    def _stream_log(self, client: Any) -> StreamLog:
        return StreamLog(client, self._call(client, None), self._stop)

    def _call(self, client: Any, output: Any, **measured: Any) -> LogCall:
        call: LogCall = client.call_of(self._input, output, {**measured, **self._arguments})
        return call

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
    """Return the arguments by name; a single one as it is. The receiver of a method is left out."""
    named = {names[index] if index < len(names) else str(index): value for index, value in enumerate(args)}
    if names and names[0] in _RECEIVERS:
        named.pop(names[0], None)
    named.update(kwargs)
    return next(iter(named.values())) if len(named) == 1 else named
