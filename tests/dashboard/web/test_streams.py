"""A blocking generator as the body of an answer: in order, bounded, and given back by whoever leaves."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator, Iterator

import pytest

from phospho_web.threads import StoreThreads, stream_chunks


@pytest.fixture
def threads() -> Iterator[StoreThreads]:
    threads = StoreThreads(1, 4)
    yield threads
    threads.close()


def endless(is_closed: threading.Event) -> Generator[bytes, None, None]:
    """Yield the same chunk for ever, and tell when the reader has closed it."""
    try:
        while True:
            yield b"more"
    finally:
        is_closed.set()


async def test_chunks_come_in_their_order(threads: StoreThreads) -> None:
    def chunks() -> Generator[bytes, None, None]:
        yield from (b"a", b"b", b"c")

    assert [chunk async for chunk in stream_chunks(threads, chunks(), 5.0, 5.0)] == [b"a", b"b", b"c"]


async def test_an_error_is_raised_after_what_came_before_it(threads: StoreThreads) -> None:
    def chunks() -> Generator[bytes, None, None]:
        yield b"a"
        raise ValueError("broken")

    body = stream_chunks(threads, chunks(), 5.0, 5.0)

    assert await anext(body) == b"a"
    with pytest.raises(ValueError, match="broken"):
        await anext(body)


async def test_a_reader_that_leaves_ends_the_thread_and_closes_what_it_read(threads: StoreThreads) -> None:
    is_closed = threading.Event()
    body = stream_chunks(threads, endless(is_closed), 60.0, 60.0)
    assert await anext(body) == b"more"
    await body.aclose()  # type: ignore[attr-defined]

    assert await asyncio.to_thread(is_closed.wait, 5.0)


async def test_a_reader_that_stalls_does_not_hold_the_thread(threads: StoreThreads) -> None:
    is_closed = threading.Event()
    body = stream_chunks(threads, endless(is_closed), 0.05, 60.0)
    assert await anext(body) == b"more"

    assert await asyncio.to_thread(is_closed.wait, 5.0)
    with pytest.raises(TimeoutError):
        async for _ in body:
            pass


async def test_slow_reader_holds_the_thread_up_to_the_deadline(
    threads: StoreThreads,
) -> None:
    is_closed = threading.Event()

    async def taken_slowly() -> None:
        async for _ in stream_chunks(threads, endless(is_closed), 60.0, 0.2):
            await asyncio.sleep(0.01)

    with pytest.raises(TimeoutError):
        await taken_slowly()
    assert await asyncio.to_thread(is_closed.wait, 5.0)
