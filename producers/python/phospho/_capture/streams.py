"""Iterables that tell a stream's log of each value that the app takes from them."""

from __future__ import annotations

import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Generator, Iterator
from contextlib import suppress
from functools import wraps
from typing import Any, Callable

from .generators import MutableAsyncGenerator, MutableGenerator, aclose, close
from .stream_log import StreamLog

__all__ = ["attach", "attach_entered", "is_iterator", "watch_stream", "watched", "wrap_iterable"]

_LOG_ATTRIBUTE = "_phospho_stream"
# Each of these methods says that the app takes no more values.
_CLOSING_METHODS = ("close", "aclose", "__exit__", "__aexit__")
_WATCHED_CLASSES: weakref.WeakKeyDictionary[type, type] = weakref.WeakKeyDictionary()


def wrap_iterable(output: Any) -> None:
    """
    Change the class of *output*, an iterable object, so that its values can be logged. In place.

    Nothing is logged until `attach` sets the task that the values belong to. Raises TypeError for objects whose
    class can't be changed: generators, lists, and classes with slots.
    """
    if not getattr(type(output), "_phospho_is_watched", False):
        output.__class__ = _watched_class(type(output))


def attach(output: Any, stream_log: StreamLog) -> None:
    """Log the values of *output* to *stream_log*. Raises TypeError or AttributeError if it can't be watched."""
    wrap_iterable(output)
    earlier: StreamLog | None = output.__dict__.get(_LOG_ATTRIBUTE)
    if earlier is not None:
        stream_log.follow(earlier)
    # An app that drops the stream before its end has still received an answer. First, as it raises for some classes.
    weakref.finalize(output, stream_log.finish).atexit = False
    setattr(output, _LOG_ATTRIBUTE, stream_log)
    _finish_with_response(output, stream_log)


def watch_stream(output: Any, stream_log: StreamLog) -> Any:
    """Watch a client library's stream in place, so that it keeps its methods. If that fails, by a generator."""
    try:
        attach(output, stream_log)
        return output
    except (TypeError, AttributeError):
        is_async = hasattr(output, "__aiter__")
        generator = watched_async(output.__aiter__(), stream_log) if is_async else watched(iter(output), stream_log)
        # The body of a generator that the app never reads never runs.
        weakref.finalize(generator, stream_log.finish).atexit = False
        return generator


def _finish_with_response(output: Any, stream_log: StreamLog) -> None:
    """Finish the task when the app closes the HTTP response: OpenAI's stream helpers close nothing else."""
    for name in ("close", "aclose"):
        with suppress(Exception):  # the app's own code: no such response, or one that can't be changed
            response = output.response
            if callable(getattr(type(response), name)):
                setattr(response, name, _closing(getattr(response, name), stream_log))


def _closing(original: Callable[..., Any], stream_log: StreamLog) -> Callable[..., Any]:
    @wraps(original)
    def close_and_finish() -> Any:
        # The stream closes it as well, when it ends or breaks; then the iteration finishes the task.
        if not stream_log.is_reading:
            stream_log.finish()
        return original()

    return close_and_finish


def attach_entered(manager: Any, stream_log: StreamLog) -> None:
    """Log the values of the stream that the context *manager* enters. Raises TypeError if it can't be watched."""
    cls = type(manager)
    if not getattr(cls, "_phospho_is_watched", False):
        if cls not in _WATCHED_CLASSES:
            namespace: dict[str, Any] = {"__module__": cls.__module__, "_phospho_is_watched": True}
            if hasattr(cls, "__enter__"):
                namespace["__enter__"] = _make_enter(cls)
            if hasattr(cls, "__aenter__"):
                namespace["__aenter__"] = _make_aenter(cls)
            _WATCHED_CLASSES[cls] = type(cls.__name__, (cls,), namespace)
        manager.__class__ = _WATCHED_CLASSES[cls]
    setattr(manager, _LOG_ATTRIBUTE, stream_log)


def _make_enter(cls: type[Any]) -> Callable[[Any], Any]:
    def watched_enter(self: Any) -> Any:
        log: StreamLog = self.__dict__[_LOG_ATTRIBUTE]
        try:
            entered = cls.__enter__(self)
        except BaseException as error:
            log.finish(error)
            raise
        return _attached(entered, log)

    return watched_enter


def _make_aenter(cls: type[Any]) -> Callable[[Any], Awaitable[Any]]:
    async def watched_aenter(self: Any) -> Any:
        log: StreamLog = self.__dict__[_LOG_ATTRIBUTE]
        try:
            entered = await cls.__aenter__(self)
        except BaseException as error:
            log.finish(error)
            raise
        return _attached(entered, log)

    return watched_aenter


def _attached(stream: Any, log: StreamLog) -> Any:
    try:
        attach(stream, log)
    except (TypeError, AttributeError):
        log.finish()
    return stream


def is_iterator(output: Any) -> bool:
    """Return whether *output* yields values by itself. Mocks, which have every attribute, don't count."""
    output_type = type(output)
    if not (hasattr(output_type, "__next__") or hasattr(output_type, "__anext__")):
        return False
    return not (hasattr(output_type, "__getattr__") and hasattr(output, "_phospho_undefined_attribute"))


def _watched_class(cls: type) -> type:
    """Return a subclass of *cls* with the same name, whose iteration is logged."""
    if cls not in _WATCHED_CLASSES:
        namespace: dict[str, Any] = {
            "__slots__": (),
            "__module__": cls.__module__,
            "_phospho_is_watched": True,
        }
        if hasattr(cls, "__next__"):
            namespace.update(__next__=_make_next(cls), __iter__=_return_self)
        elif hasattr(cls, "__iter__"):
            namespace["__iter__"] = _make_iter(cls)
        if hasattr(cls, "__anext__"):
            namespace.update(__anext__=_make_anext(cls), __aiter__=_return_self)
        elif hasattr(cls, "__aiter__"):
            namespace["__aiter__"] = _make_aiter(cls)
        namespace.update({name: _make_close(getattr(cls, name)) for name in _CLOSING_METHODS if hasattr(cls, name)})
        _WATCHED_CLASSES[cls] = type(cls.__name__, (cls,), namespace)
    return _WATCHED_CLASSES[cls]


def _add_value(output: Any, value: Any, log: StreamLog) -> None:
    """Log a value, or finish the task if the generator has stopped at it."""
    if isinstance(output, (MutableGenerator, MutableAsyncGenerator)) and output.is_stopped:
        log.finish(last=value)
    else:
        log.add(value)


def _make_close(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return a closing method, synchronous or not, so that it finishes the task first."""

    @wraps(original)
    def watched_close(self: Any, *args: Any) -> Any:
        log: StreamLog | None = self.__dict__.get(_LOG_ATTRIBUTE)
        if log is not None:
            log.finish()
        return original(self, *args)

    return watched_close


def _return_self(self: Any) -> Any:
    return self


def _make_next(cls: type[Any]) -> Callable[[Any], Any]:
    def watched_next(self: Any) -> Any:
        log: StreamLog | None = self.__dict__.get(_LOG_ATTRIBUTE)
        if log is None:
            return cls.__next__(self)
        log.is_reading = True
        try:
            value = cls.__next__(self)
        except BaseException as error:
            log.finish(None if isinstance(error, StopIteration) else error)
            raise
        finally:
            log.is_reading = False
        _add_value(self, value, log)
        return value

    return watched_next


def _make_anext(cls: type[Any]) -> Callable[[Any], Awaitable[Any]]:
    async def watched_anext(self: Any) -> Any:
        log: StreamLog | None = self.__dict__.get(_LOG_ATTRIBUTE)
        if log is None:
            return await cls.__anext__(self)
        log.is_reading = True
        try:
            value = await cls.__anext__(self)
        except BaseException as error:
            log.finish(None if isinstance(error, StopAsyncIteration) else error)
            raise
        finally:
            log.is_reading = False
        _add_value(self, value, log)
        return value

    return watched_anext


def _make_iter(cls: type[Any]) -> Callable[[Any], Iterator[Any]]:
    def watched_iter(self: Any) -> Iterator[Any]:
        log: StreamLog | None = self.__dict__.get(_LOG_ATTRIBUTE)
        return iter(cls.__iter__(self)) if log is None else watched(cls.__iter__(self), log)

    return watched_iter


def _make_aiter(cls: type[Any]) -> Callable[[Any], AsyncIterator[Any]]:
    def watched_aiter(self: Any) -> Any:
        log: StreamLog | None = self.__dict__.get(_LOG_ATTRIBUTE)
        return cls.__aiter__(self) if log is None else watched_async(cls.__aiter__(self), log)

    return watched_aiter


def watched(iterator: Iterator[Any], log: StreamLog) -> Generator[Any, Any, Any]:
    """Yield and log the values of *iterator*. Values sent to a generator are passed on."""
    send = getattr(iterator, "send", None)
    sent = None
    try:
        while True:
            value = next(iterator) if sent is None or send is None else send(sent)
            log.add(value)
            sent = yield value
    except StopIteration as end:
        log.finish()
        return end.value
    except BaseException as error:
        log.finish(None if isinstance(error, GeneratorExit) else error)
        raise
    finally:
        close(iterator)


async def watched_async(iterator: AsyncIterator[Any], log: StreamLog) -> AsyncGenerator[Any, Any]:
    """
    Yield and log the values of *iterator*. Values sent to a generator are passed on.

    An exception thrown in at the `yield` means that the app leaves the stream (asyncio throws CancelledError at the
    end of its loop). It is no error of the stream.
    """
    send = getattr(iterator, "asend", None)
    sent = None
    try:
        while True:
            try:
                value = await (iterator.__anext__() if sent is None or send is None else send(sent))
            except StopAsyncIteration:
                return
            except BaseException as error:
                log.finish(error)
                raise
            log.add(value)
            sent = yield value
    finally:
        log.finish()
        await aclose(iterator)
