"""Bodies of requests: read within a time and a number of bytes, inflated, and parsed."""

from __future__ import annotations

import asyncio
import re
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from starlette.requests import Request

from phospho_gateway import metrics
from phospho_gateway.metrics import IN_FLIGHT_BYTES
from phospho_gateway.settings import GatewaySettings
from phospho_store import exact_json
from phospho_web.problems import Problem, body_too_large
from phospho_web.requests import object_of, object_or_empty, parse_json, read_body, without_lone_surrogates

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_T = TypeVar("_T")

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
            "this Content-Encoding is not supported",
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
            raise _overloaded("the open requests hold as many bytes as they may", self._retry_after_s)
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


def _overloaded(message: str, retry_after_s: int) -> Problem:
    hint = "send the same request again after the time in Retry-After"
    return Problem(503, "overloaded", message, hint, retry_after_s=retry_after_s)


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
        return exact_json.loads_with_placeholders(without_lone_surrogates(content))
    except (ValueError, RecursionError):
        return None


# A shorter text costs as much as the rest of a document, and each text a little more.
_LONG_TEXT_BYTES = 1_000
_TEXT_COST_BYTES = 16


def is_mostly_text(content: bytes, max_other_bytes: int) -> bool:
    """
    Tell whether a JSON document has at most `max_other_bytes` outside of long texts.

    Such a document takes little more memory when it is parsed than its bytes and `wide_text_bytes`, whatever its size.
    """
    content = _without_escaped_quotes(content)
    other_bytes = content.count(b'"') // 2 * _TEXT_COST_BYTES
    if other_bytes > max_other_bytes:
        return False
    pieces = content.split(b'"')
    other_bytes += sum(map(len, pieces[::2])) + sum(len(text) for text in pieces[1::2] if len(text) < _LONG_TEXT_BYTES)
    return other_bytes <= max_other_bytes


_ASCII_TO_U00FF, _ASCII_TO_UFFFF = bytes(range(0xC4)), bytes(range(0xF0))
_NO_CONTINUATION = bytes({*range(256)} - {*range(0x80, 0xC0)})
_WIDE_ESCAPE, _SURROGATE_ESCAPE = re.compile(rb"\\u(?!00)"), re.compile(rb"\\u[dD][89abAB]")


def wide_text_bytes(content: bytes) -> int:
    """
    Return what the texts of a JSON document take in memory beyond its bytes.

    Python has 1, 2 or 4 bytes for each character of a text, as many as its widest one needs.
    """
    if content.isascii() and rb"\u" not in content:
        return 0
    return sum(map(_bytes_beyond, _without_escaped_quotes(content).split(b'"')[1::2]))


def _bytes_beyond(text: bytes) -> int:
    characters = len(text) - len(text.translate(None, _NO_CONTINUATION)) - 5 * text.count(rb"\u")
    return max(0, characters * _bytes_per_character(text) - len(text))


def _bytes_per_character(text: bytes) -> int:
    if text.translate(None, _ASCII_TO_UFFFF) or _SURROGATE_ESCAPE.search(text):
        return 4
    return 2 if text.translate(None, _ASCII_TO_U00FF) or _WIDE_ESCAPE.search(text) else 1


def _without_escaped_quotes(content: bytes) -> bytes:
    return content.replace(rb"\\", b"").replace(rb"\"", b"")


# A larger body of events is read in a thread, so that other requests are served meanwhile.
_MAX_BYTES_AT_ONCE = 500_000
_MAX_COMPRESSED_BYTES_AT_ONCE = 100_000


class Bodies:
    """
    Opens the bodies of requests, whose bytes are counted against one budget.

    Of those that are read in a thread, one at a time has its objects in memory.
    """

    def __init__(self, settings: GatewaySettings) -> None:
        self._settings = settings
        self.budget = ByteBudget(settings.max_in_flight_bytes, settings.retry_after_s)
        self._reading = asyncio.Lock()

    @contextmanager
    def open(self, request: Request, max_bytes: int | None = None) -> Iterator[Body]:
        """
        Yield the body of a request. With `max_bytes`, it may be larger than `max_body_bytes`, and `run` reads it.

        Its bytes stay counted to the end of the `with`.
        """
        with self.budget.lease(request.headers.get("authorization", "")) as lease:
            body = Body(request, lease, self._settings, max_bytes=max_bytes, reading=self._reading)
            try:
                yield body
            finally:
                body.close()


class Body:
    """One body. Each method reads it, so call one of them, once; each raises Problem and ClientDisconnect."""

    def __init__(
        self, request: Request, lease: Lease, settings: GatewaySettings, max_bytes: int | None, reading: asyncio.Lock
    ) -> None:
        self._request = request
        self._lease = lease
        self._settings = settings
        self._max_bytes = max(max_bytes or 0, settings.max_body_bytes)
        self._reading = reading if max_bytes is not None else None
        self._is_in_thread = False
        self._is_large = False

    async def run(self, work: Callable[..., _T], *arguments: Any) -> _T:
        """Call a function with what was in the body, in a thread where that is much."""
        return await asyncio.to_thread(work, *arguments) if self._is_in_thread else work(*arguments)

    def end_reading(self) -> None:
        """Let the next body be read; after one above `max_body_bytes`, `close` does, when its messages are durable."""
        if not self._is_large:
            self.close()

    def close(self) -> None:
        """Let the next body be read."""
        if self._is_in_thread and self._reading is not None:
            self._reading.release()
        self._is_in_thread = False

    async def content(self) -> bytes:
        """Return the bytes, inflated. Raises Problem (400, 408, 413, 415, 503)."""
        sent = await self._received_bytes()
        metrics.BODY_BYTES.labels("wire").inc(len(sent))
        if len(sent) > _MAX_COMPRESSED_BYTES_AT_ONCE:
            await self._begin_reading()
        encoding = self._request.headers.get("content-encoding", "")
        content = await self.run(inflated, sent, encoding, self._max_bytes)
        metrics.BODY_BYTES.labels("inflated").inc(len(content))
        if content is not sent:
            self._lease.grow(len(content))
        if len(content) > _MAX_BYTES_AT_ONCE:
            await self._begin_reading()
            await self._check_structure(content)
        return content

    async def _begin_reading(self) -> None:
        """Wait for the turn of this body, if it may be read in a thread, and read it in one. Raises Problem (503)."""
        if self._reading is not None and not self._is_in_thread:
            try:
                await asyncio.wait_for(self._reading.acquire(), self._settings.body_timeout_s)
            except TimeoutError:
                raise _overloaded("other large bodies are being read", self._settings.retry_after_s) from None
            self._is_in_thread = True

    async def _check_structure(self, content: bytes) -> None:
        """Count the memory of a large body. Raises Problem (413) where it isn't mostly text, 503 where none is left."""
        self._is_large = len(content) > self._settings.max_body_bytes
        if not self._is_large:
            return
        if not await self.run(is_mostly_text, content, self._settings.max_body_bytes):
            raise body_too_large(self._settings.max_body_bytes)
        wide_bytes = await self.run(wide_text_bytes, content)
        if self._lease.held_bytes + wide_bytes > self._settings.max_in_flight_bytes:
            raise body_too_large(self._settings.max_in_flight_bytes // 4)
        self._lease.grow(wide_bytes)

    async def json(self) -> Any:
        """Return the JSON document."""
        content = await self.content()
        # No await from here to the end, except in a thread: one request at a time has its objects in memory.
        return await self.run(parse_json, content, exact_json.loads)

    async def batch(self, name: str) -> Any:
        """
        Return the JSON document of a batch whose events are in the list under `name`.

        There, a number that JSON can't hold, such as NaN, is NotANumber: it costs its own event and no other.
        """
        content = await self.content()
        try:
            return await self.run(parse_json, content, exact_json.loads)
        except Problem as problem:
            document = await self.run(_with_placeholders, content)
            if type(document) is dict and type(document.get(name)) is list:
                return document
            raise problem.with_traceback(None)  # noqa: B904

    async def object(self) -> dict[str, Any]:
        """Return the JSON object. Raises Problem (422) for another document."""
        return object_of(await self.json())

    async def object_or_empty(self) -> dict[str, Any]:
        """Return the JSON object, empty for an empty body. Raises Problem (422) for another document."""
        return object_or_empty(await self.content())

    async def _received_bytes(self) -> bytes:
        try:
            async with asyncio.timeout(self._settings.body_timeout_s):
                return await read_body(self._request, self._max_bytes, self._lease.grow)
        except TimeoutError:
            raise Problem(
                408,
                "body_timeout",
                f"the body did not arrive within {self._settings.body_timeout_s:g} s",
                "send smaller batches over a slow line",
            ) from None
