"""Threads in which the event loop makes blocking calls, of the store above all, and reads blocking generators."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from functools import partial
from typing import ParamSpec, TypeVar

from phospho_store.errors import ChangeRefused
from phospho_web.problems import Problem, problem_of

P = ParamSpec("P")
T = TypeVar("T")


class StoreThreads:
    """
    Runs blocking calls in at most `threads` threads; at most `max_waiting` more wait for one.

    A call runs to its end even if its request is gone, and keeps its slot until then.
    """

    def __init__(self, threads: int, max_waiting: int) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="store")
        self._slots = threading.BoundedSemaphore(threads + max_waiting)

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """
        Return what `call` returns, or raise what it raises; a change that the store refuses becomes a Problem.

        Raises Problem (503) if no slot is free.
        """
        if not self._slots.acquire(blocking=False):
            raise Problem(503, "busy", "too many requests wait for the store", "try again", retry_after_s=1)
        future: Future[T] = self._executor.submit(partial(call, *args, **kwargs))
        future.add_done_callback(lambda _: self._slots.release())
        try:
            return await asyncio.wrap_future(future)
        except ChangeRefused as error:
            raise problem_of(error) from error

    def close(self) -> None:
        """Let the running calls end, and start no other."""
        self._executor.shutdown(wait=True, cancel_futures=True)


class FairThreads:
    """
    Runs blocking calls of projects in threads, which take turns among the projects.

    One project has at most half of the threads, so another's call finds one free, and half of the waiting places. A
    call runs to its end even if its request is gone, and keeps its thread until then. For one event loop.
    """

    def __init__(self, threads: int, max_waiting: int) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="fair")
        self._threads = self._free_threads = threads
        self._max_threads = max(1, threads // 2)
        self._max_waiting = max_waiting
        self._running: Counter[str] = Counter()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    async def run(self, project_id: str, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """
        Return what `call` returns, or raise what it raises; a change that the store refuses becomes a Problem.

        Raises Problem (503) if too many calls wait.
        """
        await self._turn(project_id)
        loop = asyncio.get_running_loop()
        future: Future[T] = self._executor.submit(partial(call, *args, **kwargs))
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._end_turn, project_id))
        try:
            return await asyncio.wrap_future(future)
        except ChangeRefused as error:
            raise problem_of(error) from error

    def close(self) -> None:
        """Let the running calls end, and start no other."""
        self._executor.shutdown(wait=True, cancel_futures=True)

    async def _turn(self, project_id: str) -> None:
        """Return when a thread is free for the project, and take it."""
        waiting = self._waiting.setdefault(project_id, deque())
        places_taken = self._running.total() + sum(map(len, self._waiting.values()))
        if (
            places_taken >= self._threads + self._max_waiting
            or self._running[project_id] + len(waiting) >= self._max_threads + self._max_waiting // 2
        ):
            raise Problem(503, "busy", "too many queries wait", "try again", retry_after_s=1)
        turn = asyncio.get_running_loop().create_future()
        waiting.append(turn)
        self._start_turns()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._end_turn(project_id)
            raise

    def _end_turn(self, project_id: str) -> None:
        self._running[project_id] -= 1
        if not self._running[project_id]:
            del self._running[project_id]
        self._free_threads += 1
        self._start_turns()

    def _start_turns(self) -> None:
        """Give free threads to the projects with the fewest; among these, to the one that has waited for longest."""
        for project_id in sorted(self._waiting, key=lambda project_id: self._running[project_id]):
            waiting = self._waiting[project_id]
            while waiting and self._free_threads and self._running[project_id] < self._max_threads:
                turn = waiting.popleft()
                if not turn.done():
                    self._running[project_id] += 1
                    self._free_threads -= 1
                    turn.set_result(None)
            if not waiting:
                del self._waiting[project_id]


_CHUNKS_AHEAD = 4


async def stream_chunks(
    threads: StoreThreads, chunks: Generator[bytes, None, None], stall_s: float, timeout_s: float
) -> AsyncIterator[bytes]:
    """
    Yield the chunks, and raise what their generator raises.

    It runs in one of `threads`, at most _CHUNKS_AHEAD ahead. The thread ends, and closes the generator, when no chunk
    is taken for `stall_s`, when not all of them are within `timeout_s` of the first, or when the reader is gone.
    """
    loop = asyncio.get_running_loop()
    ready: asyncio.Queue[bytes | None] = asyncio.Queue(_CHUNKS_AHEAD)
    is_gone = threading.Event()

    def put(chunk: bytes, wait_s: float) -> None:
        waiting = asyncio.run_coroutine_threadsafe(ready.put(chunk), loop)
        try:
            waiting.result(wait_s)
        except TimeoutError:
            waiting.cancel()
            raise

    def produce() -> None:
        deadline_s = time.monotonic() + timeout_s
        with closing(chunks):
            for chunk in chunks:
                if is_gone.is_set():
                    break
                put(chunk, max(0.0, min(stall_s, deadline_s - time.monotonic())))

    async def run() -> None:
        try:
            await threads.run(produce)
        finally:
            await ready.put(None)

    producer = asyncio.create_task(run())
    try:
        while (chunk := await ready.get()) is not None:
            yield chunk
        await producer
    finally:
        is_gone.set()
        while not ready.empty():
            ready.get_nowait()


async def joined(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield a chunk that was taken ahead, so that an error before it is a response of its own, and then the others."""
    yield first
    async for chunk in rest:
        yield chunk
