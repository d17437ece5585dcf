"""A run over a staged file: every event is checked, or logged."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from phospho_dashboard.imports.reading import lines_of
from phospho_store.log_files.counts import LineCounts
from phospho_store.log_files.reader import ReadRequest
from phospho_store.log_files.records import BadLine
from phospho_web.problems import Problem

logger = logging.getLogger(__name__)

_BATCH_EVENTS = 500
_BATCH_BYTES = 4_000_000
# Reads of files by this process at a time, beside everything else that it does.
_RUNS_AT_A_TIME = 2
_RETRIES_S = (1.0, 2.0, 5.0, 15.0, 30.0, 60.0)


class EventIntake(Protocol):
    """The gateway's intake. A result is the time that an event is stored with, or why it is not."""

    async def check(self, project_id: str, events: Sequence[Any]) -> list[str | Problem]:
        """Return the result that each event would have. Nothing is stored."""

    async def log(self, project_id: str, events: Sequence[Any]) -> list[str | Problem]:
        """Return one result per event when the good ones are durable. Raises Problem: 429 or 503."""


@dataclass
class Run:
    """A check of every event, or the import itself: its progress, its counts, and how it ended."""

    kind: Literal["check", "import"]
    state: Literal["running", "done", "stopped", "failed"] = "running"
    counts: LineCounts = field(default_factory=LineCounts)
    position_bytes: int = 0
    reason: str = ""
    is_cut_off: bool = False
    task: asyncio.Task[None] | None = None

    @property
    def is_imported(self) -> bool:
        return self.kind == "import" and self.state != "running"

    def stop(self) -> None:
        """Stop after the batch that is being logged. What was logged stays."""
        if self.state == "running":
            self.state = "stopped"


@dataclass
class _Batch:
    lines: list[dict[str, Any]] = field(default_factory=list)
    size_bytes: int = 0

    @property
    def is_full(self) -> bool:
        return len(self.lines) >= _BATCH_EVENTS or self.size_bytes >= _BATCH_BYTES

    def add(self, line: dict[str, Any]) -> None:
        self.lines.append(line)
        self.size_bytes += line["size_bytes"]


def _note(run: Run, line: dict[str, Any]) -> None:
    """Count a line that is no event."""
    if "reason" in line:
        run.counts.reject(BadLine(line["line"], line["reason"]))
    elif "is_skipped" in line:
        run.counts.skipped += 1
    elif "broken" in line:
        run.reason, run.is_cut_off = line["broken"], True
    else:
        run.position_bytes = line["position_bytes"]


class Runner:
    """Runs over staged files, some at a time; the others wait for their turn."""

    def __init__(self, intake: EventIntake) -> None:
        self._intake = intake
        self._turns = asyncio.Semaphore(_RUNS_AT_A_TIME)

    def start(self, run: Run, request: ReadRequest, project_id: str) -> None:
        """Begin a run in the background."""
        run.task = asyncio.create_task(self._ran(run, request, project_id))

    async def _ran(self, run: Run, request: ReadRequest, project_id: str) -> None:
        try:
            async with self._turns:
                await self._read(run, request, self._taking(run, project_id))
            if run.state == "running":
                run.state = "failed" if run.is_cut_off and not run.counts.lines else "done"
        except Problem as problem:
            run.state, run.reason = "failed", f"{problem.message}. {problem.hint}"
        except Exception:
            logger.exception("an import failed")
            run.state, run.reason = "failed", "The server's log has the details."

    async def _read(self, run: Run, request: ReadRequest, take: Callable[[_Batch], Awaitable[None]]) -> None:
        batch = _Batch()
        async with aclosing(lines_of(request)) as lines:
            async for line in lines:
                if "event" in line:
                    batch.add(line)
                else:
                    _note(run, line)
                if batch.is_full:
                    await take(batch)
                    batch = _Batch()
                if run.state != "running":
                    return
        if batch.lines:
            await take(batch)

    def _taking(self, run: Run, project_id: str) -> Callable[[_Batch], Awaitable[None]]:
        async def take(batch: _Batch) -> None:
            is_check = run.kind == "check"
            events = [line["event"] for line in batch.lines]
            results = await (self._intake.check if is_check else self._logged)(project_id, events)
            for line, result in zip(batch.lines, results, strict=True):
                if isinstance(result, Problem):
                    hint = f"; {result.hint}" if result.hint else ""
                    run.counts.reject(BadLine(line["line"], result.message + hint))
                else:
                    run.counts.accept([result], undated=line["is_undated"])

        return take

    async def _logged(self, project_id: str, events: Sequence[Any]) -> list[str | Problem]:
        """Log events; again after a pause while the server has no room for them. Raises Problem."""
        for pause_s in _RETRIES_S:
            try:
                return await self._intake.log(project_id, events)
            except Problem as problem:
                if problem.status not in (429, 503) or (problem.retry_after_s or 0) > _RETRIES_S[-1]:
                    raise
                await asyncio.sleep(max(pause_s, problem.retry_after_s or 0))
        return await self._intake.log(project_id, events)
