"""Answers of hostile servers: byte by byte, without end, or too deeply nested to parse."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import phospho
from fixtures.waiting import wait_until

Make = Callable[..., phospho.Client]

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


class SlowServer:
    """Sends *head* at once and then *drop* repeatedly, until the client hangs up."""

    def __init__(self, head: bytes, drop: bytes) -> None:
        self._answer = (head, drop)
        self._is_over = threading.Event()
        self.hung_up_after_s: list[float] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        self._is_over.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)

    def _serve(self) -> None:
        with contextlib.suppress(OSError):  # the listener was closed
            while True:
                connection, _ = self._listener.accept()
                with connection:
                    self._drip(connection)

    def _drip(self, connection: socket.socket) -> None:
        head, drop = self._answer
        began = time.monotonic()
        with contextlib.suppress(OSError):
            connection.recv(65536)
            connection.sendall(head)
            while not self._is_over.wait(0.02):
                connection.sendall(drop)
        self.hung_up_after_s.append(time.monotonic() - began)


@pytest.fixture(
    params=[
        (b"", b"H"),
        (HEAD + b"X-Drip: ", b"x"),
        (HEAD + b"Content-Length: 100000\r\n\r\n", b" "),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["status line", "header", "body", "chunked body", "100 Continue for ever"],
)
def slow_server(request: pytest.FixtureRequest) -> Iterator[SlowServer]:
    server = SlowServer(*request.param)
    yield server
    server.close()


def test_sender_hangs_up_on_slow_server_after_timeout(slow_server: SlowServer, make_client: Make) -> None:
    client = make_client(base_url=slow_server.url, request_timeout_s=0.3, tick=0.01)
    client.log(input="Hello")

    wait_until(lambda: len(slow_server.hung_up_after_s) >= 2, "the client has not hung up")

    assert max(slow_server.hung_up_after_s) < 2
    assert set(client.stats().retried) == {"no_answer"}


def test_reader_hangs_up_on_slow_server_after_timeout(slow_server: SlowServer, make_client: Make) -> None:
    with pytest.raises(phospho.APIError, match="no answer"):
        make_client(base_url=slow_server.url, request_timeout_s=0.3).tasks.get("t1")


def test_connection_restarts_timeout_for_each_request(server: Any, make_client: Make) -> None:
    client = make_client(request_timeout_s=0.5)
    ended = time.monotonic() + 1.2

    while time.monotonic() < ended:
        client.log(input="Hello")
        assert client.flush(60).is_complete

    assert client.stats().retried == {}


def test_connection_keeps_debugging_of_http_client(
    server: Any, make_client: Make, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 1)
    client = make_client()
    client.log(input="Hello")

    assert client.flush(60).is_complete
    assert "reply: 'HTTP/1.1 200 OK" in capsys.readouterr().out


DEEP = b'{"error":' * 100_000 + b"1" + b"}" * 100_000


@pytest.mark.parametrize("status", [200, 422])
def test_deeply_nested_answer_costs_only_its_event(server: Any, make_client: Make, status: int) -> None:
    """As from a server that echoes the request."""

    def answer(request: Any) -> Any:
        is_deep = any(event["input"] == "deep" for event in request.document["events"])
        return server.error(status)._replace(body=DEEP) if is_deep else None

    server.script = answer
    client = make_client(tick=0.2)
    ids = {text: client.log(input=text)["task_id"] for text in ("one", "deep", "three", "four")}

    sent: set[str] = set()

    def has_sent_all() -> bool:
        sent.update(client.flush(0.5).sent)
        return sent >= {ids["one"], ids["three"], ids["four"]}

    wait_until(has_sent_all, "logs are not sent", progress=lambda: len(sent))
    assert ids["deep"] not in sent
    assert client.stats().errors == {}


def test_deeply_nested_answer_is_an_api_error_for_readers(server: Any, make_client: Make) -> None:
    server.script = lambda request: server.reply(DEEP)

    with pytest.raises(phospho.APIError):
        make_client().project()
    with pytest.raises(phospho.APIError):
        make_client().tasks.list()
