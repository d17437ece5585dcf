"""The lines of a staged file, read by a process of its own: a hostile file harms that process only."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator
from typing import Any

import orjson

from phospho_store.log_files.reader import ReadRequest
from phospho_web.problems import Problem

# A record has at most 10 MB; JSON may escape it.
_MAX_LINE_BYTES = 64 << 20
_PEEK_TIMEOUT_S = 30.0
_ENDED_EARLY = "The file can't be read: it is damaged, or needs more memory or time than an import may take."


async def peeked(request: ReadRequest) -> dict[str, Any]:
    """Return the columns of a file with examples, and its format. Raises Problem 422 for a file without rows."""
    try:
        async with asyncio.timeout(_PEEK_TIMEOUT_S):
            lines = [line async for line in lines_of(request)]
    except TimeoutError:
        raise unreadable("Its first rows took too long to read.") from None
    if "broken" in lines[-1]:
        raise unreadable(lines[-1]["broken"])
    if not lines[-1]["columns"]:
        raise unreadable("It has no rows. Take CSV, JSON lines, JSON, Parquet or Excel.")
    return dict(lines[-1])


async def lines_of(request: ReadRequest) -> AsyncGenerator[dict[str, Any], None]:
    """Yield the lines of the process; at its end one that is `broken` if it ended before the file did."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *request.arguments(),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        limit=_MAX_LINE_BYTES,
    )
    assert process.stdout is not None
    try:
        async for line in process.stdout:
            yield orjson.loads(line)
        if await process.wait() != 0:
            yield {"broken": _ENDED_EARLY}
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def unreadable(reason: str) -> Problem:
    """Return the problem of a file that can't be imported."""
    return Problem(422, "unreadable_file", f"the file can't be imported. {reason.removesuffix('.')}")
