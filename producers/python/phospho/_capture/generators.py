"""Generators as objects that `phospho.log(stream=True)` can watch."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from functools import partial, update_wrapper
from types import FunctionType, MethodType
from typing import Any, Callable, Generic, TypeVar

__all__ = ["MutableAsyncGenerator", "MutableGenerator", "aclose", "as_generator_function", "close"]

T = TypeVar("T")


class MutableGenerator(Generic[T]):
    """
    A generator as an object that `phospho.log(stream=True)` can watch. It can't watch a bare generator.

    Iteration ends with the generator, or after the first value for which *stop* returns true. The app gets that
    value like any other, and it is kept as `stopped_at`. It is not part of the logged output, but its token counts
    are logged. The task is logged as soon as it comes.
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
        """Close the generator. Its values so far are logged."""
        self.is_stopped = True
        close(self.generator)


class MutableAsyncGenerator(Generic[T]):
    """`MutableGenerator` for an asynchronous generator."""

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
        """Close the generator. Its values so far are logged."""
        self.is_stopped = True
        await aclose(self.generator)


class _GeneratorFunction(partial[Any]):
    """
    A wrapper that passes for the generator function *func*: to `inspect`, which looks inside partials, to
    `isinstance`, and to pickle, which stores functions by their names.

    A generator function instead of it would run nothing before the app takes the first value, perhaps outside of the
    trace that the call was in.
    """

    wrapper: Callable[..., Any]

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        return self.wrapper(*args, **kwargs)

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.func, name)  # `__code__`, `__defaults__` and the like

    def __repr__(self) -> str:
        return repr(self.func)

    def __reduce__(self) -> str:
        return self.__qualname__  # type: ignore[no-any-return]

    @property
    def __class__(self) -> type:  # type: ignore[override]
        # Pydantic's models take functions for methods, and other objects for fields.
        return FunctionType


def as_generator_function(wrapper: Callable[..., Any], function: Callable[..., Any]) -> Callable[..., Any]:
    """Return *wrapper* so that frameworks that ask see the generator function that it wraps, as FastAPI does."""
    from inspect import isasyncgenfunction, isgeneratorfunction

    if not (isgeneratorfunction(function) or isasyncgenfunction(function)):
        return wrapper
    wrapped = update_wrapper(_GeneratorFunction(function), function)
    wrapped.wrapper = wrapper
    return wrapped


async def aclose(iterator: Any) -> None:
    """Close an asynchronous iterator that can be closed."""
    method = getattr(iterator, "aclose", None)
    if callable(method):
        await method()


def close(iterator: Any) -> None:
    """Close an iterator that can be closed."""
    method = getattr(iterator, "close", None)
    if callable(method):
        method()
