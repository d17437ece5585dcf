"""Strangers can't hold a server's connections, memory or descriptors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from unittest.mock import Mock

import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from phospho_cli.processes import connections
from phospho_cli.processes.connections import ConnectionLimits, limits_of_process
from phospho_cli.processes.serving import ListeningApp, Process, listen, port_of, serve

GET = b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"
POST_HEAD = b"POST /refuse HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n%s\r\n"


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def response(self) -> bytes:
        """Return the first line of a response; empty where the connection was closed without one."""
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""
        length = head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]
        await self.reader.readexactly(int(length))
        return head.split(b"\r\n")[0]

    async def ended(self) -> None:
        """Return when the server has closed the connection."""
        try:
            while await self.reader.read(65_536):
                pass
        except ConnectionError:
            pass


class Server:
    def __init__(self, port: int, held: asyncio.Event) -> None:
        self.port = port
        self.held = held
        self.clients: list[Client] = []

    async def connect(self, data: bytes = b"") -> Client:
        client = Client(*await asyncio.open_connection("127.0.0.1", self.port))
        self.clients.append(client)
        client.send(data)
        return client

    async def wait_until_ready(self) -> None:
        while True:
            try:
                client = await self.connect(GET)
            except ConnectionError:
                await asyncio.sleep(0.01)
                continue
            await client.response()
            return

    async def close_clients(self) -> None:
        for client in self.clients:
            client.writer.close()
            with suppress(ConnectionError):
                await client.writer.wait_closed()


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    """
    A server of 8 connections, 6 of them from one address.

    `/hold` answers later, `/refuse` reads no body, and the answer of `/large` fits into no buffer.
    """
    held, stop = asyncio.Event(), asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        response: Response = PlainTextResponse("hello")
        if request.url.path == "/hold":
            await held.wait()
        elif request.url.path == "/large":
            response = PlainTextResponse(b"x" * 30_000_000)
        elif request.url.path == "/refuse":
            response = PlainTextResponse("too large", 413)
        elif request.method == "POST":
            with suppress(ClientDisconnect):
                response = PlainTextResponse(str(len(await request.body())))
        await response(scope, receive, send)

    with listen("127.0.0.1", 0) as listener:
        process = Process([ListeningApp(app, listener)], limits=ConnectionLimits(total=8, per_address=6))
        running = asyncio.create_task(serve(process, stop_when=lambda: stop))
        server = Server(port_of(listener), held)
        await server.wait_until_ready()
        yield server
        held.set()
        stop.set()
        await server.close_clients()
        await running


async def test_half_sent_requests_dont_keep_others_out(server: Server) -> None:
    halves = [await server.connect(b"GET /hello HTTP/1.1\r\nHost: ") for _ in range(20)]
    halves += [await server.connect(POST_HEAD.replace(b"/refuse", b"/read") % (100, b"")) for _ in range(20)]

    client = await server.connect(GET)

    assert await client.response() == b"HTTP/1.1 200 OK"
    await asyncio.gather(*(half.ended() for half in halves[:30]))


async def test_connection_beyond_requests_in_work_is_refused(server: Server) -> None:
    held = [await server.connect(GET.replace(b"/hello", b"/hold")) for _ in range(6)]
    await asyncio.sleep(0.05)

    refused = await server.connect()

    assert await refused.response() == b"HTTP/1.1 503 Service Unavailable"
    server.held.set()
    assert [await client.response() for client in held] == [b"HTTP/1.1 200 OK"] * 6


@pytest.mark.parametrize(
    "head",
    [
        b"GET /hello HTTP/1.1\r\n" + b"x: %s\r\n" % (b"y" * 70_000),
        b"GET /hello HTTP/1.1\r\n" + b"x: %s\r\n" % (b"y" * 1000) * 70,
        b"GET /hello HTTP/1.1\r\n" + b"x: y\r\n" * 300,
        b"GET /hello?%s" % (b"y" * 70_000),
    ],
    ids=["one header", "many bytes", "many headers", "url"],
)
async def test_head_is_bounded(server: Server, head: bytes) -> None:
    client = await server.connect(head)

    assert await client.response() == b"HTTP/1.1 431 Request Header Fields Too Large"
    await client.ended()


@pytest.mark.parametrize("trailer", [b"x: " + b"y" * 300_000, b"x: y\r\n" * 50_000], ids=["one", "many"])
async def test_trailers_are_bounded(server: Server, trailer: bytes) -> None:
    head = b"POST /read HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    client = await server.connect(head + b"1\r\nx\r\n0\r\n")

    client.send(trailer)

    await client.ended()


async def test_pipelined_requests_are_bounded(server: Server) -> None:
    client = await server.connect(GET.replace(b"/hello", b"/hold") + GET * 500)

    await client.ended()


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("_HEAD_TIMEOUT_S", b""),
        ("_HEAD_TIMEOUT_S", b"GET /hello HTTP/1.1\r\n"),
        ("_HEAD_TIMEOUT_S", GET + b"GET /"),
        ("_BODY_TIMEOUT_S", POST_HEAD.replace(b"/refuse", b"/read") % (100, b"") + b"x"),
        ("_DISCARD_TIMEOUT_S", POST_HEAD % (100, b"") + b"x"),
        ("_DISCARD_TIMEOUT_S", POST_HEAD % (100, b"Connection: close\r\n") + b"x"),
    ],
    ids=["silence", "half a head", "half a second head", "half a body", "half a refused body", "and no keep-alive"],
)
async def test_request_is_bounded_in_time(
    server: Server, monkeypatch: pytest.MonkeyPatch, name: str, sent: bytes
) -> None:
    monkeypatch.setattr(connections, name, 0.05)
    client = await server.connect(sent)

    await client.ended()


@pytest.mark.parametrize("header", [b"", b"Connection: close\r\n"], ids=["keep-alive", "close"])
async def test_client_reads_the_answer_to_a_body_too_large(server: Server, header: bytes) -> None:
    body = b"x" * 30_000_000
    client = await server.connect(POST_HEAD % (len(body), header))

    client.send(body)
    await client.writer.drain()

    assert await client.response() == b"HTTP/1.1 413 Request Entity Too Large"
    if not header:
        client.send(GET)
        assert await client.response() == b"HTTP/1.1 200 OK"


async def test_discarded_bytes_are_bounded(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_MAX_DISCARDED_BYTES", 1_000_000)
    client = await server.connect(POST_HEAD % (10**9, b"Connection: close\r\n"))

    client.send(b"x" * 20_000_000)

    await client.ended()


async def test_client_that_reads_nothing_is_dropped(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    dropped = asyncio.Event()
    monkeypatch.setattr(connections, "_WRITE_TIMEOUT_S", 0.05)
    drop = connections.BoundedHttpProtocol.drop

    def observed_drop(protocol: connections.BoundedHttpProtocol) -> None:
        drop(protocol)
        dropped.set()

    monkeypatch.setattr(connections.BoundedHttpProtocol, "drop", observed_drop)
    client = await server.connect()
    client.writer.transport.pause_reading()  # type: ignore[attr-defined]

    client.send(GET.replace(b"/hello", b"/large"))

    await dropped.wait()


@pytest.mark.parametrize("is_closing", [False, True])
def test_response_of_a_dropped_connection_is_not_written(is_closing: bool) -> None:
    """uvloop raises at such a write, and a stranger who reads slowly would fill the log."""
    transport = Mock(is_closing=Mock(return_value=is_closing))

    connections._LingeringTransport(transport, Mock()).write(b"x")

    assert transport.write.called is not is_closing


def test_limits_leave_descriptors_for_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections.resource, "getrlimit", lambda _: (1024, 1024))
    assert limits_of_process(ConnectionLimits(1000, 500)) == ConnectionLimits(256, 256)
    assert limits_of_process(ConnectionLimits(100, 50)) == ConnectionLimits(100, 50)
