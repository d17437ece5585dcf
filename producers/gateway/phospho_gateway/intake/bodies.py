"""Bodies of requests: read within a time and a number of bytes, inflated, and parsed."""

from __future__ import annotations

import asyncio
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from starlette.requests import Request

from phospho_gateway import metrics
from phospho_gateway.metrics import IN_FLIGHT_BYTES
from phospho_gateway.settings import GatewaySettings
from phospho_store import exact_json
from phospho_web.problems import Problem, body_too_large
from phospho_web.requests import mended, object_of, object_or_empty, parse_json, read_body

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_GZIP_WBITS = 16 + zlib.MAX_WBITS
# RFC 8878, 3.1.1.1.2 recommends that decoders take windows of 8 MB; more would be memory for the asking.
_ZSTD_WINDOW_LOG = 23


class _Inflater(Protocol):
    """One stream. zlib's objects and zstd's (the interface of Python 3.14's `compression.zstd`) both have this."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


def inflated(body: bytes, encoding: str, max_bytes: int) -> bytes:
    """
    Return the body without its Content-Encoding; never holds more than `max_bytes` and one byte of output.

    Raises Problem: 415 for an encoding that is not known, 413 above `max_bytes`, 400 for a damaged stream.
    """
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return body
    if name not in _INFLATERS:
        raise Problem(
            415,
            "unsupported_encoding",
            "Content-Encoding is not known here",
            "use gzip, deflate, zstd, or none",
        )
    inflater = _INFLATERS[name](body)
    output = _output(inflater, body, name, max_bytes)
    if len(output) > max_bytes:
        raise body_too_large(max_bytes)
    if not inflater.eof or inflater.unused_data:
        raise _damaged(name)
    return output


def _output(inflater: _Inflater, body: bytes, name: str, max_bytes: int) -> bytes:
    try:
        return inflater.decompress(body, max_bytes + 1)
    except (zlib.error, zstd.ZstdError, EOFError):
        raise _damaged(name) from None


def _damaged(name: str) -> Problem:
    return Problem(
        400,
        "malformed_body",
        f"the body is not one whole {name} stream",
        "compress the body once, and send it to its end",
    )


def _gzip(body: bytes) -> _Inflater:
    return zlib.decompressobj(_GZIP_WBITS)


def _deflate(body: bytes) -> _Inflater:
    """Take the zlib format, which RFC 9110 means, and the bare stream, which some clients send."""
    has_zlib_header = len(body) >= 2 and body[0] & 0x0F == 8 and (body[0] << 8 | body[1]) % 31 == 0
    return zlib.decompressobj(zlib.MAX_WBITS if has_zlib_header else -zlib.MAX_WBITS)


def _zstd(body: bytes) -> _Inflater:
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG})


_INFLATERS: Mapping[str, Callable[[bytes], _Inflater]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "zstd": _zstd,
}


# What an open request costs beside its body; it bounds the number of requests as well.
_REQUEST_BYTES = 16_384


class ByteBudget:
    """
    Bytes in use, of `limit_bytes`. Lives on one event loop; a full budget refuses, it never waits.

    An owner with several open requests holds at most half, so that one API key leaves room for others.
    """

    def __init__(self, limit_bytes: int, retry_after_s: int) -> None:
        self._limit_bytes = limit_bytes
        self._retry_after_s = retry_after_s
        self._used_bytes = 0
        self._leases: dict[str, set[Lease]] = {}

    @contextmanager
    def lease(self, owner: str = "") -> Iterator[Lease]:
        """Yield the lease of one request, to be held until its messages are durable. Raises Problem (503)."""
        lease = Lease(self, owner)
        leases = self._leases.setdefault(owner, set())
        leases.add(lease)
        try:
            lease.grow(_REQUEST_BYTES)
            yield lease
        finally:
            self.give_back(lease.held_bytes)
            leases.discard(lease)
            if not leases:
                self._leases.pop(owner, None)

    def take(self, amount: int, owner: str = "") -> None:
        """Take bytes. Raises Problem (503), and takes nothing, when the budget has not enough left."""
        if self._used_bytes + amount > self._limit_bytes or self._is_beyond_share(amount, owner):
            raise Problem(
                503,
                "overloaded",
                "the open requests hold as many bytes as they may",
                "send the same request again after the time in Retry-After",
                retry_after_s=self._retry_after_s,
            )
        self._used_bytes += amount
        IN_FLIGHT_BYTES.inc(amount)

    def _is_beyond_share(self, amount: int, owner: str) -> bool:
        leases = self._leases.get(owner, ())
        if not owner or len(leases) < 2:
            return False
        return sum(lease.held_bytes for lease in leases) + amount > self._limit_bytes // 2

    def give_back(self, amount: int) -> None:
        """Return bytes that were taken."""
        self._used_bytes -= amount
        IN_FLIGHT_BYTES.dec(amount)


class Lease:
    """The bytes that one request holds of a budget."""

    def __init__(self, budget: ByteBudget, owner: str) -> None:
        self._budget = budget
        self._owner = owner
        self.held_bytes = 0

    def grow(self, amount: int) -> None:
        """Hold more. Raises Problem (503) when the budget is full."""
        self._budget.take(amount, self._owner)
        self.held_bytes += amount


def _with_placeholders(content: bytes) -> Any:
    try:
        return exact_json.loads_with_placeholders(mended(content))
    except (ValueError, RecursionError):
        return None


class Bodies:
    """Opens the bodies of requests, whose bytes are counted against one budget."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._settings = settings
        self.budget = ByteBudget(settings.max_in_flight_bytes, settings.retry_after_s)

    @contextmanager
    def open(self, request: Request) -> Iterator[Body]:
        """Yield the body of a request. Its bytes stay counted to the end of the `with`."""
        with self.budget.lease(request.headers.get("authorization", "")) as lease:
            yield Body(request, lease, self._settings)


class Body:
    """One body. Each method reads it, so call one of them, once; each raises Problem and ClientDisconnect."""

    def __init__(self, request: Request, lease: Lease, settings: GatewaySettings) -> None:
        self._request = request
        self._lease = lease
        self._settings = settings

    async def content(self) -> bytes:
        """Return the bytes, inflated. Raises Problem (400, 408, 413, 415, 503)."""
        sent = await self._sent()
        metrics.BODY_BYTES.labels("wire").inc(len(sent))
        content = inflated(sent, self._request.headers.get("content-encoding", ""), self._settings.max_body_bytes)
        metrics.BODY_BYTES.labels("inflated").inc(len(content))
        if content is not sent:
            self._lease.grow(len(content))
        return content

    async def json(self) -> Any:
        """Return the JSON document."""
        content = await self.content()
        # No await from here to the end: one request at a time has its objects in memory.
        return parse_json(content, exact_json.loads)

    async def batch(self, name: str) -> Any:
        """
        Return the JSON document of a batch whose events are in the list under `name`.

        There, a number that JSON can't hold, such as NaN, is NotANumber: it costs its own event and no other.
        """
        content = await self.content()
        try:
            return parse_json(content, exact_json.loads)
        except Problem as problem:
            document = _with_placeholders(content)
            if type(document) is dict and type(document.get(name)) is list:
                return document
            raise problem.with_traceback(None)  # noqa: B904

    async def object(self) -> dict[str, Any]:
        """Return the JSON object. Raises Problem (422) for another document."""
        return object_of(await self.json())

    async def object_or_empty(self) -> dict[str, Any]:
        """Return the JSON object, empty for an empty body. Raises Problem (422) for another document."""
        return object_or_empty(await self.content())

    async def _sent(self) -> bytes:
        try:
            async with asyncio.timeout(self._settings.body_timeout_s):
                return await read_body(self._request, self._settings.max_body_bytes, self._lease.grow)
        except TimeoutError:
            raise Problem(
                408,
                "body_timeout",
                f"the body did not arrive within {self._settings.body_timeout_s:g} s",
                "send smaller batches over a slow line",
            ) from None
