"""Outputs that come in chunks: each chunk is added to one task as the app iterates."""

from __future__ import annotations

import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Generator, Iterator
from functools import wraps
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Generic,
    TypeVar,
)

from ._content import LogCall

if TYPE_CHECKING:
    from ._client import Client

__all__ = ["MutableAsyncGenerator", "MutableGenerator", "StreamLog", "attach", "wrap_iterable"]

T = TypeVar("T")
Stop = Callable[[Any], bool]

_ATTRIBUTE = "_phospho_stream"
# By each of them an app says that it takes no more.
_CLOSES = ("close", "aclose", "__exit__", "__aexit__")
_TAPPED: weakref.WeakKeyDictionary[type, type] = weakref.WeakKeyDictionary()


class MutableGenerator(Generic[T]):
    """
    A generator in an object that `phospho.log(stream=True)` can watch; a bare generator it cannot.

    Iteration ends after the first value of which *stop* is true, and at the generator's own end. That value
    is the app's like every other, and is kept as `stopped_at`; of the logged output it is no part, but the
    tokens that it says are. The task is logged as soon as it comes.
    """

    def __init__(self, generator: Iterator[T], stop: Callable[[T], bool] | None = None) -> None:
        self.generator = generator
        self.stop = stop
        self.stopped_at: T | None = None
        self.is_stopped = False

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        if self.is_stopped:
            raise StopIteration
        value = next(self.generator)
        if self.stop is not None and self.stop(value):
            self.is_stopped, self.stopped_at = True, value
        return value

    def close(self) -> None:
        """Close the generator, and have what has come of it logged."""
        self.is_stopped = True
        _close(self.generator)


class MutableAsyncGenerator(Generic[T]):
    """The same as `MutableGenerator`, for an asynchronous generator."""

    def __init__(self, generator: AsyncIterator[T], stop: Callable[[T], bool] | None = None) -> None:
        self.generator = generator
        self.stop = stop
        self.stopped_at: T | None = None
        self.is_stopped = False

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        if self.is_stopped:
            raise StopAsyncIteration
        value = await self.generator.__anext__()
        if self.stop is not None and self.stop(value):
            self.is_stopped, self.stopped_at = True, value
        return value

    async def aclose(self) -> None:
        """Close the generator, and have what has come of it logged."""
        self.is_stopped = True
        await _aclose(self.generator)


class StreamLog:
    """
    The task of one stream: begun by its first chunk, sent when the stream ends, breaks or is let go of.

    No method raises: what fails is counted, and the stream itself goes on untouched.
    """

    def __init__(self, client: Client, call: LogCall, stop: Stop | None = None) -> None:
        self._client = client
        self._call = call
        self._stop = stop
        self._chunks = 0
        self._is_finished = False

    def add(self, chunk: Any) -> None:
        """Add one chunk; the one of which `stop` is true ends the task and is not part of it."""
        if self._is_finished:
            return
        if self._is_last(chunk):
            self.finish(last=chunk)
            return
        self._client.add_chunk(self._call, chunk, self._chunks)
        self._chunks += 1

    def finish(self, error: BaseException | None = None, last: Any = None) -> None:
        """Send the task as it is now; *last* is not part of it, but may say its usage. Works once."""
        if not self._is_finished:
            self._is_finished = True
            self._client.finish_chunks(self._call, self._chunks, error, last)

    def _is_last(self, chunk: Any) -> bool:
        try:
            return self._stop is not None and bool(self._stop(chunk))
        except Exception as error:  # the app's function
            self._client.count_error("stop", error)
            return False


def wrap_iterable(output: Any) -> None:
    """
    Have *output*, an iterable object, tell of each value it gives. Changes its class, in place.

    Nothing is logged until `attach` says which task the values belong to. Raises TypeError for objects
    that cannot be changed: generators, lists, and classes with slots.
    """
    if not getattr(type(output), "_phospho_is_tapped", False):
        output.__class__ = _tapped(type(output))


def attach(output: Any, stream_log: StreamLog) -> None:
    """Wrap *output* and send its values to *stream_log*. Raises TypeError or AttributeError."""
    wrap_iterable(output)
    setattr(output, _ATTRIBUTE, stream_log)
    # An app that breaks off, and drops the stream, has received an answer all the same.
    weakref.finalize(output, stream_log.finish).atexit = False


def _tapped(cls: type) -> type:
    """Return a subclass of *cls* under the same name, whose iteration is watched."""
    if cls not in _TAPPED:
        namespace: dict[str, Any] = {
            "__slots__": (),
            "__module__": cls.__module__,
            "_phospho_is_tapped": True,
        }
        if hasattr(cls, "__next__"):
            namespace.update(__next__=_make_next(cls), __iter__=_itself)
        elif hasattr(cls, "__iter__"):
            namespace["__iter__"] = _make_iter(cls)
        if hasattr(cls, "__anext__"):
            namespace.update(__anext__=_make_anext(cls), __aiter__=_itself)
        elif hasattr(cls, "__aiter__"):
            namespace["__aiter__"] = _make_aiter(cls)
        namespace.update({name: _make_close(getattr(cls, name)) for name in _CLOSES if hasattr(cls, name)})
        _TAPPED[cls] = type(cls.__name__, (cls,), namespace)
    return _TAPPED[cls]


def _take(output: Any, value: Any, log: StreamLog) -> None:
    if isinstance(output, (MutableGenerator, MutableAsyncGenerator)) and output.is_stopped:
        log.finish(last=value)
    else:
        log.add(value)


def _make_close(close: Callable[..., Any]) -> Callable[..., Any]:
    """Return *close*, of a stream that waits for it or not, which first sends what has come so far."""

    @wraps(close)
    def watched_close(self: Any, *args: Any) -> Any:
        log: StreamLog | None = self.__dict__.get(_ATTRIBUTE)
        if log is not None:
            log.finish()
        return close(self, *args)

    return watched_close


def _itself(self: Any) -> Any:
    return self


def _make_next(cls: type[Any]) -> Callable[[Any], Any]:
    def watched_next(self: Any) -> Any:
        log: StreamLog | None = self.__dict__.get(_ATTRIBUTE)
        if log is None:
            return cls.__next__(self)
        try:
            value = cls.__next__(self)
        except BaseException as error:
            log.finish(None if isinstance(error, StopIteration) else error)
            raise
        _take(self, value, log)
        return value

    return watched_next


def _make_anext(cls: type[Any]) -> Callable[[Any], Awaitable[Any]]:
    async def watched_anext(self: Any) -> Any:
        log: StreamLog | None = self.__dict__.get(_ATTRIBUTE)
        if log is None:
            return await cls.__anext__(self)
        try:
            value = await cls.__anext__(self)
        except BaseException as error:
            log.finish(None if isinstance(error, StopAsyncIteration) else error)
            raise
        _take(self, value, log)
        return value

    return watched_anext


def _make_iter(cls: type[Any]) -> Callable[[Any], Iterator[Any]]:
    def watched_iter(self: Any) -> Iterator[Any]:
        log: StreamLog | None = self.__dict__.get(_ATTRIBUTE)
        return iter(cls.__iter__(self)) if log is None else watched(cls.__iter__(self), log)

    return watched_iter


def _make_aiter(cls: type[Any]) -> Callable[[Any], AsyncIterator[Any]]:
    def watched_aiter(self: Any) -> Any:
        log: StreamLog | None = self.__dict__.get(_ATTRIBUTE)
        return cls.__aiter__(self) if log is None else watched_async(cls.__aiter__(self), log)

    return watched_aiter


def watched(iterator: Iterator[Any], log: StreamLog) -> Generator[Any, Any, Any]:
    """Yield the values of *iterator*, with what is sent to a generator passed on, and log them."""
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
        _close(iterator)


async def watched_async(iterator: AsyncIterator[Any], log: StreamLog) -> AsyncGenerator[Any, Any]:
    """
    Yield the values of *iterator*, with what is sent to a generator passed on, and log them.

    What is thrown in where it yields is the app's leaving (at the end of its loop asyncio does that by a
    CancelledError), and no error of the stream.
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
        await _aclose(iterator)


async def _aclose(iterator: Any) -> None:
    close = getattr(iterator, "aclose", None)
    if callable(close):
        await close()


def _close(iterator: Any) -> None:
    close = getattr(iterator, "close", None)
    if callable(close):
        close()
