"""A phospho server and an OpenAI server on loopback, and a fresh default client for each test."""

from __future__ import annotations

import contextlib
import gzip
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import phospho
from phospho._default.state import STATE
from phospho.config import RetryPolicy

# Longer than the time between a `log` and a `flush`: the flush must send the event, not the tick.
TICK_S = 2.0
FAST_RETRY = RetryPolicy(initial_s=0.01, max_s=0.05)


class Reply(NamedTuple):
    """An answer of the server. `body` None means its usual answer."""

    status: int = 200
    body: Any = None
    headers: tuple[tuple[str, str], ...] = ()
    is_last: bool = False


class Request(NamedTuple):
    """One request, its body inflated and parsed."""

    method: str
    path: str
    headers: dict[str, str]
    document: Any


class PhosphoServer:
    """Answers as the gateway does. `script` may answer instead. While `is_released` is not set, it hangs."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.script: Callable[[Request], Reply | None] = lambda request: None
        self.is_released = threading.Event()
        self.is_released.set()
        self.changed = threading.Condition()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    @property
    def logs(self) -> list[dict[str, Any]]:
        """Every accepted event of every batch, in order of arrival."""
        return [event for request in self.requests if request.path.endswith("/batch") for event in _events(request)]

    @property
    def feedback(self) -> list[tuple[str, dict[str, Any]]]:
        """The path and body of every feedback."""
        return [(request.path, request.document) for request in self.requests if request.path.endswith("/feedback")]

    @staticmethod
    def reply(body: Any) -> Reply:
        """Return a 200 with another body than usual."""
        return Reply(200, body)

    @staticmethod
    def reply_and_close(request: Request) -> Reply:
        """Return the usual answer, after which the connection is closed without a header that says so."""
        return Reply(200, _usual(request), is_last=True)

    @staticmethod
    def error(status: int, code: str = "some_code", headers: tuple[tuple[str, str], ...] = ()) -> Reply:
        """Return an answer in the server's one error shape."""
        return Reply(status, {"error": {"code": code, "message": "what happened", "hint": "what to do"}}, headers)

    def wait_for(self, is_so: Callable[[], bool], timeout_s: float = 60.0) -> None:
        """Wait until a request has made *is_so* true."""
        with self.changed:
            assert self.changed.wait_for(is_so, timeout_s), "the server did not see it in time"

    def answer(self, request: Request) -> Reply:
        self.is_released.wait(30)
        return self.script(request) or Reply(200, _usual(request))

    def use_tls(self, certificate: Path, key: Path) -> None:
        """Accept only TLS connections from now on."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self._http.socket = context.wrap_socket(self._http.socket, server_side=True)
        self._http.handle_error = lambda *arguments: None  # type: ignore[method-assign]

    def record(self, request: Request) -> None:
        with self.changed:
            self.requests.append(request)
            self.changed.notify_all()

    def close(self) -> None:
        self.is_released.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(5)


def _events(request: Request) -> list[dict[str, Any]]:
    return list(request.document["events"])


def _usual(request: Request) -> Any:
    if request.path.endswith("/batch"):
        results = [
            {"status": "accepted", "event_id": event["task_id"], "task_id": event["task_id"]}
            for event in _events(request)
        ]
        return {"results": results, "accepted": len(results), "rejected": 0}
    return {"event_id": "e", "feedback_id": "f", "created_at": "2026-01-01T00:00:00Z"}


def _handler(server: PhosphoServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            self._respond("POST", json.loads(body) if body else None)

        def do_GET(self) -> None:
            self._respond("GET", None)

        def _respond(self, method: str, document: Any) -> None:
            request = Request(method, self.path, dict(self.headers.items()), document)
            reply = server.answer(request)
            if reply.status < 300:
                server.record(request)
            body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body or {}).encode()
            self.send_response(reply.status)
            for name, value in (*reply.headers, ("Content-Length", str(len(body)))):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
            self.close_connection = reply.is_last

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler


@pytest.fixture
def server() -> Iterator[PhosphoServer]:
    phospho_server = PhosphoServer()
    yield phospho_server
    phospho_server.close()


@pytest.fixture
def recorded() -> phospho.RecordingTransport:
    """The transport of a default client that sends nothing."""
    transport = phospho.RecordingTransport()
    phospho.init(transport=transport, tick=TICK_S)
    return transport


@pytest.fixture(autouse=True)
def fresh_module_state(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run each test without the environment's settings, and without clients or ids of other tests."""
    for name in ("PHOSPHO_API_KEY", "PHOSPHO_PROJECT_ID", "PHOSPHO_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    yield
    if STATE.client is not None:
        with contextlib.suppress(phospho.SendError):
            STATE.client.close(timeout=0)
    STATE.client = None
    STATE.latest.task_id = STATE.latest.session_id = None


@pytest.fixture
def make_client(server: PhosphoServer) -> Iterator[Callable[..., phospho.Client]]:
    """Make clients of the loopback server that retry fast. Close them at the end."""
    clients: list[phospho.Client] = []

    def make(**arguments: Any) -> phospho.Client:
        settings = {"api_key": "ph_test", "base_url": server.url, "tick": TICK_S, "retry": FAST_RETRY, **arguments}
        clients.append(phospho.Client(**settings))
        return clients[-1]

    yield make
    for client in clients:
        with contextlib.suppress(phospho.SendError):
            client.close(timeout=0)


ANSWER = "Qubits harness quantum physics for faster, more powerful computation."


class LanguageModelServer:
    """Answers `ANSWER`, whole or in chunks, over OpenAI's chat API and Ollama's."""

    def __init__(self) -> None:
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _LanguageModelHandler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(5)


class _LanguageModelHandler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        call = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/api/generate":
            self._say(_ollama_lines(), "application/x-ndjson")
        elif call.get("stream"):
            self._say(_openai_events(), "text/event-stream")
        else:
            self._say([_openai_completion()], "application/json")

    def _say(self, lines: list[str], content_type: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.end_headers()
        self.wfile.write("".join(lines).encode())

    def log_message(self, format: str, *args: Any) -> None:
        pass


def _words() -> list[str]:
    first, *others = ANSWER.split(" ")
    return [first, *(f" {word}" for word in others)]


def _openai_completion() -> str:
    message = {"role": "assistant", "content": ANSWER}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    usage = {"prompt_tokens": 25, "completion_tokens": 12, "total_tokens": 37}
    head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1_700_000_000, "model": "gpt-4o-mini-2024"}
    return json.dumps({**head, "choices": [choice], "usage": usage})


def _openai_events() -> list[str]:
    head = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": "gpt-4o-mini-2024",
    }
    deltas: list[tuple[dict[str, Any], str | None]] = [({"content": word}, None) for word in _words()]
    chunks = [
        {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}
        for delta, reason in [*deltas, ({}, "stop")]
    ]
    return [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks] + ["data: [DONE]\n\n"]


def _ollama_lines() -> list[str]:
    lines = [{"model": "mistral-7b", "response": word, "done": False} for word in _words()]
    last = {"model": "mistral-7b", "response": "", "done": True, "prompt_eval_count": 25, "eval_count": 12}
    return [json.dumps(line) + "\n" for line in (*lines, last)]


@pytest.fixture(scope="session")
def language_model() -> Iterator[LanguageModelServer]:
    model_server = LanguageModelServer()
    yield model_server
    model_server.close()
