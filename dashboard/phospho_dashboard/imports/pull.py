"""A pull: pages of another system's API, appended to a staged file, which is then imported like any other."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import orjson

from phospho_dashboard.imports.sources import SOURCES, Answered, Call, PullRequest

_TIMEOUT_S = 60.0
_MAX_PAGE_BYTES = 50_000_000
# Python takes 60 to 250 bytes for a list or an object, however short it is written: a page of "{}," alone takes 1 GB.
_MAX_PAGE_CONTAINERS = 2_000_000
# A server that names a next page for ever is not asked for ever; a person may go on.
_MAX_PAGES = 20_000
_RETRIES_S = (1.0, 5.0, 15.0)


class Fetched(Protocol):
    """An answer with its body; `status` is 0, and `detail` the reason, where there was none."""

    @property
    def status(self) -> int: ...

    @property
    def body(self) -> bytes: ...

    @property
    def detail(self) -> str: ...


class Fetch(Protocol):
    """A request to an address that a person chose, which goes to public addresses only. Blocking."""

    def __call__(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, *, timeout_s: float, max_bytes: int
    ) -> Fetched: ...


@dataclass
class Pull:
    """
    The state of a pull. One that stopped or failed goes on at `cursor`. Its keys are in memory only.

    `is_active` until the page in flight has come, also after a stop.
    """

    request: PullRequest
    path: Path
    max_bytes: int
    state: Literal["running", "done", "stopped", "failed"] = "stopped"
    records: int = 0
    cursor: str = ""
    reason: str = ""
    is_active: bool = False

    def begin(self) -> None:
        """Mark it as running, before `run`."""
        self.state, self.reason, self.is_active = "running", "", True

    async def run(self, fetch: Fetch, threads: Executor) -> None:
        """Append page after page to the file, until the last one, a stop or a failure. `threads` fetch and parse."""
        try:
            await self._run(fetch, threads)
        finally:
            self.is_active = False

    async def _run(self, fetch: Fetch, threads: Executor) -> None:
        pages = 0
        while self.state == "running":
            if pages == _MAX_PAGES:
                self.state, self.reason = "failed", f"{pages:,} pages were pulled. Continue, or import them first."
                return
            if self.path.stat().st_size > self.max_bytes:
                limit = f"{self.max_bytes / 1e6:,.0f} MB"
                self.state, self.reason = (
                    "failed",
                    f"More than {limit} were pulled. Import them, then pull a later time.",
                )
                return
            try:
                answered = await self._page(fetch, threads)
            except _PullFailed as failure:
                self.state, self.reason = "failed", str(failure)
                return
            await asyncio.to_thread(self._append, answered.records)
            pages += 1
            self.records, self.cursor = self.records + len(answered.records), answered.cursor
            if not self.cursor and self.state == "running":
                self.state = "done"

    def stop(self) -> None:
        """Stop after the page that is being read."""
        if self.state == "running":
            self.state = "stopped"

    async def _page(self, fetch: Fetch, threads: Executor) -> Answered:
        source = SOURCES[self.request.source]
        call = source.call(self.request, self.cursor)
        for pause_s in (*_RETRIES_S, None):
            answer = await asyncio.get_running_loop().run_in_executor(threads, self._fetched, fetch, call)
            if isinstance(answer, Answered):
                return answer
            if pause_s is None or (answer.status and answer.status != 429 and answer.status < 500):
                raise _PullFailed(_reason(source.label, answer))
            await asyncio.sleep(pause_s)
        raise AssertionError("the last attempt returns or raises")

    def _fetched(self, fetch: Fetch, call: Call) -> Answered | Fetched:
        """Return what was read of an answer, or the answer of a request that failed."""
        headers = {"Host": _host(self.request.base_url), "Accept": "application/json"}
        headers |= SOURCES[self.request.source].headers(self.request)
        headers |= {"Content-Type": "application/json"} if call.body else {}
        url = self.request.base_url + call.path
        answer = fetch(call.method, url, headers, call.body, timeout_s=_TIMEOUT_S, max_bytes=_MAX_PAGE_BYTES)
        return self._read(answer.body) if answer.status == 200 else answer

    def _read(self, body: bytes) -> Answered:
        source = SOURCES[self.request.source]
        if body.count(b"{") + body.count(b"[") > _MAX_PAGE_CONTAINERS:
            raise _PullFailed(f"{source.label} answered with a page of too many lists and objects.")
        try:
            answered = source.read(orjson.loads(body), self.cursor)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            raise _PullFailed(f"The answer is not one of {source.label}'s API. Check the address.") from None
        if answered.cursor and answered.cursor == self.cursor:
            raise _PullFailed(f"{source.label} names the same page as the next one.")
        return answered

    def _append(self, records: list[dict[str, Any]]) -> None:
        # Not created: the file may have been removed meanwhile.
        with open(os.open(self.path, os.O_WRONLY | os.O_APPEND), "ab") as file:
            file.writelines(_line(record) for record in records)


class _PullFailed(Exception):
    """A page can't be read; the message is the reason."""


def _line(record: Any) -> bytes:
    """Return a record as a line. One that orjson reads and doesn't write, being nested too deep, is rejected alone."""
    try:
        return orjson.dumps(record) + b"\n"
    except TypeError:
        return orjson.dumps({"error": "nested too deep"}) + b"\n"


def _host(base_url: str) -> str:
    return base_url.partition("://")[2].partition("/")[0]


def _reason(label: str, answer: Fetched) -> str:
    if answer.status in (401, 403):
        return f"{label} refused the key (HTTP {answer.status}). Check it, and that it may read the project."
    if not answer.status:
        return f"{label} could not be reached: {answer.detail}"
    return f"{label} answered HTTP {answer.status}. Check the address and the project."
