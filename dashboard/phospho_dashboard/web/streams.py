"""A blocking generator of bytes, read in a thread, as the body of a response."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Generator
from contextlib import closing

from phospho_web.threads import StoreThreads

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
