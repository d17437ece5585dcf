"""
Bounds of a server's connections, which hold before anything is known about the client.

uvicorn has none of them with httptools. A connection *is receiving* while it is idle or its request has not arrived as
a whole. Receiving is bounded in time and bytes. Where every place is taken, a new connection gets the place of the one
that has been receiving for longest, so half-sent requests can't keep others out.
"""

from __future__ import annotations

import asyncio
import resource
from collections import Counter
from dataclasses import dataclass
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 65_536
_MAX_HEADERS = 200
_MAX_PIPELINED_REQUESTS = 16
_HEAD_TIMEOUT_S = 10.0
_BODY_TIMEOUT_S = 120.0
# For a client that reads nothing of its response.
_WRITE_TIMEOUT_S = 60.0
# What is read of a body after the response to it, such as a 413: a client that sends its whole body first must not
# find the connection reset.
_DISCARD_TIMEOUT_S = 5.0
_MAX_DISCARDED_BYTES = 100_000_000
# The rest is for ClickHouse's files, Kafka and temporary files.
_SHARE_OF_DESCRIPTORS = 4
# ClickHouse opens the files of every part that it merges.
_DESCRIPTORS = 65_536

_TOO_MANY_CONNECTIONS = (
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
)
_HEAD_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


@dataclass(frozen=True)
class ConnectionLimits:
    """The most connections of a server, in all and from one address, such as a proxy's."""

    total: int = 1000
    per_address: int = 500


def limits_of_process(limits: ConnectionLimits) -> ConnectionLimits:
    """Return the limits, lowered to a share of the descriptors that the process may open."""
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if descriptors == resource.RLIM_INFINITY:
        return limits
    total = min(limits.total, descriptors // _SHARE_OF_DESCRIPTORS)
    return ConnectionLimits(total, min(total, limits.per_address))


def raise_descriptor_limit() -> None:
    """Allow the process as many descriptors as it needs, or as the system lets it have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class ConnectionTable:
    """The open connections of one server, and which of them are receiving, by address. For one event loop."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self._limits = limits
        self._open: Counter[str] = Counter()
        self._total = 0
        # In the order in which they began to receive.
        self._receiving: dict[str, dict[BoundedHttpProtocol, None]] = {}

    def admit(self, address: str) -> bool:
        """Count a new connection and make room for it. False where all places are taken by requests in work."""
        if self._open[address] >= self._limits.per_address:
            _drop_first(self._receiving.get(address, {}))
        if self._total >= self._limits.total:
            _drop_first(max(self._receiving.values(), key=len, default={}))
        if self._open[address] >= self._limits.per_address or self._total >= self._limits.total:
            return False
        self._open[address] += 1
        self._total += 1
        return True

    def remove(self, protocol: BoundedHttpProtocol) -> None:
        """Count a connection no longer."""
        self.set_receiving(protocol, False)
        self._total -= 1
        self._open[protocol.address] -= 1
        if not self._open[protocol.address]:
            del self._open[protocol.address]

    def set_receiving(self, protocol: BoundedHttpProtocol, is_receiving: bool) -> None:
        """Note whether a connection is receiving; as the newest of its address."""
        connections = self._receiving.setdefault(protocol.address, {})
        connections.pop(protocol, None)
        if is_receiving:
            connections[protocol] = None
        elif not connections:
            del self._receiving[protocol.address]


def _drop_first(connections: dict[BoundedHttpProtocol, None]) -> None:
    for protocol in connections:
        protocol.drop()
        return


class RequestRefused(Exception):
    """A request is beyond a bound. Raised in the parser's callbacks, which end the connection then."""


class BoundedHttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol with bounds. `bounded_protocol` gives it the table of its server."""

    table: ConnectionTable

    address = ""
    _is_counted = False
    _is_receiving = False
    _timer: asyncio.TimerHandle | None = None
    _write_timer: asyncio.TimerHandle | None = None
    # Where the parser is: between messages, in a head, or in a body.
    _is_in_message = False
    _is_in_body = False
    _is_lingering = False
    _head_bytes = 0
    _is_head_too_large = False
    _discarded_bytes = 0
    # Changes with each piece of a request that is not a header; bytes without one are those of heads and trailers.
    _progress = 0
    _bytes_without_progress = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(_LingeringTransport(transport, self))
        self.address = self.client[0] if self.client else ""
        self._is_counted = self.table.admit(self.address)
        if not self._is_counted:
            transport.write(_TOO_MANY_CONNECTIONS)
            transport.close()
            return
        self._receive_within(_HEAD_TIMEOUT_S)

    def connection_lost(self, exc: Exception | None) -> None:
        self._release()
        self.resume_writing()
        super().connection_lost(exc)

    def drop(self) -> None:
        """Close the connection at once and give its place away."""
        self._release()
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._is_lingering:
            self._discard(len(data))
            return
        if self._is_receiving and self._timer is None:
            self._receive_within(_HEAD_TIMEOUT_S)
        progress = self._progress
        super().data_received(data)
        self._bytes_without_progress = 0 if progress != self._progress else self._bytes_without_progress + len(data)
        if self._bytes_without_progress > MAX_HEAD_BYTES and not self.transport.is_closing():
            self._is_head_too_large = True
            self.send_400_response("")

    def send_400_response(self, msg: str) -> None:
        if not self._is_head_too_large:
            super().send_400_response(msg)
        elif not self._is_in_body:
            self.transport.write(_HEAD_TOO_LARGE)
        self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_in_message, self._is_in_body, self._head_bytes = True, False, 0

    def on_url(self, url: bytes) -> None:
        self._count_head(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count_head(len(name) + len(value))
        # After the body they are trailers, which nobody reads.
        if not self._is_in_body:
            super().on_header(name, value)

    def _count_head(self, size_bytes: int) -> None:
        self._head_bytes += size_bytes
        if self._head_bytes > MAX_HEAD_BYTES or len(self.headers) > _MAX_HEADERS:
            self._is_head_too_large = True
            raise RequestRefused("the headers are too large")

    def on_headers_complete(self) -> None:
        if len(self.pipeline) >= _MAX_PIPELINED_REQUESTS:
            raise RequestRefused("too many requests before the first answer")
        self._progress += 1
        self._is_in_body = True
        super().on_headers_complete()
        self._receive_within(_BODY_TIMEOUT_S)

    def on_body(self, body: bytes) -> None:
        self._progress += 1
        super().on_body(body)
        if self.cycle.response_complete:
            self._discard(len(body))

    def on_message_complete(self) -> None:
        self._progress += 1
        self._is_in_message = self._is_in_body = False
        super().on_message_complete()
        if self._is_answering():
            self._stop_receiving()
        else:
            self._receive_within(_HEAD_TIMEOUT_S)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._is_in_message:
            self._receive_within(_DISCARD_TIMEOUT_S if self.cycle.response_complete else _BODY_TIMEOUT_S)
        elif not self._is_answering():
            # uvicorn's own timer of idle connections runs from here.
            self._receive_within(None)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._write_timer is None:
            self._write_timer = self.loop.call_later(_WRITE_TIMEOUT_S, self.drop)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def lingers(self) -> bool:
        """Begin to read and discard the rest of a body that was answered already; False where there is none."""
        if self._is_in_body and self.cycle.response_complete and not self._is_lingering:
            self._is_lingering = True
            self.flow.resume_reading()
            self._receive_within(_DISCARD_TIMEOUT_S)
        return self._is_lingering

    def _discard(self, size_bytes: int) -> None:
        self._discarded_bytes += size_bytes
        if self._discarded_bytes > _MAX_DISCARDED_BYTES:
            self.drop()

    def _is_answering(self) -> bool:
        return bool(self.pipeline) or (self.cycle is not None and not self.cycle.response_complete)

    def _receive_within(self, timeout_s: float | None) -> None:
        self._stop_receiving()
        self._is_receiving = True
        self.table.set_receiving(self, True)
        if timeout_s is not None:
            self._timer = self.loop.call_later(timeout_s, self.drop)

    def _stop_receiving(self) -> None:
        if self._is_receiving:
            self._is_receiving = False
            self.table.set_receiving(self, False)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _release(self) -> None:
        self._stop_receiving()
        if self._is_counted:
            self._is_counted = False
            self.table.remove(self)


def bounded_protocol(limits: ConnectionLimits) -> type[BoundedHttpProtocol]:
    """Return the protocol of one server, with a table of its own."""

    class ServerProtocol(BoundedHttpProtocol):
        table = ConnectionTable(limits)

    return ServerProtocol


class _LingeringTransport(asyncio.Transport):
    """A transport whose `close` lets the client send the rest of its body, so that it reads the response."""

    def __init__(self, transport: asyncio.Transport, protocol: BoundedHttpProtocol) -> None:
        super().__init__()
        self._transport = transport
        self._protocol = protocol
        self._has_closed = False

    def close(self) -> None:
        if not self._protocol.lingers():
            self._transport.close()
        elif not self._has_closed:
            self._transport.write_eof()
        self._has_closed = True

    def is_closing(self) -> bool:
        return self._has_closed or self._transport.is_closing()

    def abort(self) -> None:
        self._has_closed = True
        self._transport.abort()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        # A response may go on after its connection was dropped, until uvicorn hears of it; uvloop raises then.
        if not self._transport.is_closing():
            self._transport.write(data)

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._transport.set_protocol(protocol)
