"""Threads in which the event loop calls the store, which blocks."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
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
