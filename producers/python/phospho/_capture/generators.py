"""Generators as objects that `phospho.log(stream=True)` can watch."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, Callable, Generic, TypeVar

__all__ = ["MutableAsyncGenerator", "MutableGenerator", "aclose", "close"]

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
