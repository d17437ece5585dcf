"""
ClickHouse's HTTP interface over the chDB engine of this process.

clickhouse-connect, Grafana's ClickHouse data source and curl talk to it as to a server. Our processes write with
a password as the user `phospho`; everybody else on this machine reads, within bounds.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from phospho_store.embedded.codec import choose_encoding, compress
from phospho_store.embedded.engine import Answer, Engine, ReaderLimits
from phospho_store.embedded.errors import TOO_MANY_SIMULTANEOUS_QUERIES, ClickHouseHttpError, refusal
from phospho_store.embedded.request import may_write, read_body, read_call, read_params, refuse_foreign

Result = TypeVar("Result")

LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True)
class ClickHouseHttpSettings:
    """
    Settings of the server. With `write_password` None nobody writes; an empty one is refused.

    At most `max_queries` statements run at once, of which readers may hold half; one that waits longer than
    `max_wait_s` for its turn is answered 503. `max_body_bytes` bounds a body as sent and as inflated.
    """

    host: str = "127.0.0.1"
    port: int = 0
    write_password: str | None = field(default=None, repr=False)
    allowed_hosts: frozenset[str] = LOOPBACK_NAMES
    max_body_bytes: int = 64 << 20
    max_queries: int = 8
    max_wait_s: float = 10.0
    stop_timeout_s: int = 30
    reader_limits: ReaderLimits = field(default_factory=ReaderLimits)

    def __post_init__(self) -> None:
        if self.write_password == "":
            raise ValueError("write_password must not be empty; None lets nobody write.")


class _QueryPool:
    """Threads that run statements, with a bounded wait for a free one. Readers never hold them all."""

    def __init__(self, settings: ClickHouseHttpSettings) -> None:
        self._threads = ThreadPoolExecutor(settings.max_queries, thread_name_prefix="clickhouse")
        self._free = asyncio.Semaphore(settings.max_queries)
        self._free_for_readers = asyncio.Semaphore(max(1, settings.max_queries // 2))
        self._max_wait_s = settings.max_wait_s

    async def run(self, call: Callable[[], Result], *, is_reader: bool) -> Result:
        """Run `call` on a thread. Raises a refusal with 503 when none is free in time."""
        async with AsyncExitStack() as held:
            try:
                async with asyncio.timeout(self._max_wait_s):
                    for slot in (self._free_for_readers, self._free) if is_reader else (self._free,):
                        await held.enter_async_context(slot)
            except TimeoutError:
                raise _too_busy() from None
            return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    def close(self) -> None:
        """Block until the running statements have finished; an insert must not be cut off."""
        self._threads.shutdown(wait=True)


class _Server:
    """The endpoints, over one engine that is open while the application's lifespan is."""

    def __init__(self, engine_path: str, settings: ClickHouseHttpSettings) -> None:
        self._engine = Engine(engine_path)
        self._settings = settings
        self._pool = _QueryPool(settings)
        self._requests = 0

    @asynccontextmanager
    async def lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        """Open the engine; at the end wait for running statements, then close it."""
        self._engine.open()
        yield
        await asyncio.to_thread(self._pool.close)
        self._engine.close()

    async def ping(self, request: Request) -> Response:
        """Answer `Ok.` to a request that names this server."""
        try:
            refuse_foreign(request.headers, self._settings.allowed_hosts)
        except ClickHouseHttpError as error:
            return _error_response(error)
        return Response("Ok.\n")

    async def query(self, request: Request) -> Response:
        """Run one statement and answer it as a whole, so that a failure always has its status and code."""
        self._requests += 1
        try:
            return await self._answer(request)
        except ClickHouseHttpError as error:
            return _error_response(error)
        finally:
            self._requests -= 1

    async def _answer(self, request: Request) -> Response:
        settings = self._settings
        refuse_foreign(request.headers, settings.allowed_hosts)
        params = read_params(request)
        is_writer = may_write(request.headers, params, settings.write_password)
        if self._requests > _REQUESTS_PER_QUERY * settings.max_queries:
            raise _too_busy()
        body = await read_body(request, settings.max_body_bytes)
        if not body and not params.get("query"):
            return Response("Ok.\n")
        limits = None if is_writer else settings.reader_limits

        def run() -> tuple[Answer, bytes, str]:
            answer = self._engine.run(
                read_call(request=request, body=body, params=params, max_bytes=settings.max_body_bytes, limits=limits)
            )
            encoding = _response_encoding(request, params) if answer.body else ""
            return answer, compress(answer.body, encoding) if encoding else answer.body, encoding

        answer, content, encoding = await self._pool.run(run, is_reader=not is_writer)
        headers = self._headers(params, answer) | ({"Content-Encoding": encoding} if encoding else {})
        return Response(content, headers=headers, media_type=_media_type(answer.format))

    def _headers(self, params: dict[str, str], answer: Answer) -> dict[str, str]:
        summary = {name: str(getattr(answer, name)) for name in _SUMMARY_FIELDS}
        headers = {
            "X-ClickHouse-Summary": json.dumps(summary, separators=(",", ":")),
            "X-ClickHouse-Query-Id": params.get("query_id") or str(uuid.uuid4()),
            "X-ClickHouse-Timezone": self._engine.timezone,
            "X-ClickHouse-Server-Display-Name": "phospho",
        }
        return headers | ({"X-ClickHouse-Format": answer.format} if answer.format else {})


_REQUESTS_PER_QUERY = 8  # whose bodies may be held in memory for each statement that may run
_SUMMARY_FIELDS = ("read_rows", "read_bytes", "written_rows", "written_bytes", "result_rows", "elapsed_ns")


def _response_encoding(request: Request, params: dict[str, str]) -> str:
    if params.get("enable_http_compression", "0") in ("", "0", "false"):
        return ""
    return choose_encoding(request.headers.get("accept-encoding", ""))


def _media_type(name: str | None) -> str:
    if name is None:
        return "text/plain; charset=UTF-8"
    if name.upper() in ("JSON", "JSONCOMPACT", "JSONSTRINGS"):
        return "application/json; charset=UTF-8"
    return "text/plain; charset=UTF-8" if name.upper().startswith(("TAB", "TSV", "CSV")) else "application/octet-stream"


def _too_busy() -> ClickHouseHttpError:
    return refusal(
        TOO_MANY_SIMULTANEOUS_QUERIES, "Too many simultaneous queries; try again.", status=503, retry_after_s=1
    )


def _error_response(error: ClickHouseHttpError) -> Response:
    headers = {"X-ClickHouse-Exception-Code": str(error.code)}
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(error.retry_after_s)
    return Response(f"{error}\n", error.status, headers, "text/plain; charset=UTF-8")


def build_app(engine_path: str, settings: ClickHouseHttpSettings) -> Starlette:
    """Return the ASGI application; its lifespan opens and closes the engine at `engine_path`."""
    server = _Server(engine_path, settings)
    routes = [
        Route("/ping", server.ping, methods=["GET"]),
        Route("/", server.query, methods=["GET", "POST"]),
    ]
    return Starlette(routes=routes, lifespan=server.lifespan)


def serve(path: str, settings: ClickHouseHttpSettings) -> None:
    """Serve the engine at `path` until SIGTERM or SIGINT; what runs then finishes first."""
    uvicorn.run(
        build_app(path, settings),
        host=settings.host,
        port=settings.port,
        access_log=False,
        log_level="info",
        timeout_graceful_shutdown=settings.stop_timeout_s,
    )
