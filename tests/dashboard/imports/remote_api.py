"""Langfuse's and LangSmith's list endpoints on loopback, in the shape of their documentation."""

from __future__ import annotations

import base64
import json
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from fixtures.loopback import serving

PUBLIC_KEY, SECRET_KEY, API_KEY, PROJECT = "pk-lf-1", "sk-lf-1", "lsv2-1", "1a2b"


def trace(number: int) -> dict[str, Any]:
    return {
        "id": f"trace-{number}",
        "timestamp": f"2026-03-01T10:{number:02}:00.000Z",
        "name": "chat",
        "input": {"question": f"Where is order {number}?"},
        "output": "On its way",
        "sessionId": f"s-{number // 2}",
        "userId": "ann",
        "tags": ["prod"],
        "metadata": {"plan": "pro"},
        "public": False,
        "latency": 1.5,
    }


def run(number: int) -> dict[str, Any]:
    return {
        "id": f"run-{number}",
        "name": "agent",
        "run_type": "chain",
        "start_time": f"2026-03-01T10:{number:02}:00Z",
        "end_time": f"2026-03-01T10:{number:02}:02Z",
        "inputs": {"question": f"Where is order {number}?"},
        "outputs": {"answer": "On its way"},
        "thread_id": "th-1",
        "metadata": {"user_id": "ann", "ls_model_name": "gpt-4o"},
        "prompt_tokens": 12,
        "completion_tokens": 3,
    }


@dataclass
class RemoteApi:
    """
    `statuses` are the answers to come, then 200. `calls` are method, path and body of each request.

    `content` is sent in the place of a page, if it is set.
    """

    url: str
    records: int = 5
    page_size: int = 2
    statuses: deque[int] = field(default_factory=deque)
    calls: list[tuple[str, str, Any]] = field(default_factory=list)
    content: str = ""


@contextmanager
def remote_api() -> Iterator[RemoteApi]:
    """Yield an API that listens on a free port of loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            query = parse_qs(urlsplit(self.path).query)
            basic = "Basic " + base64.b64encode(f"{PUBLIC_KEY}:{SECRET_KEY}".encode()).decode()
            page = int(query["page"][0])
            data = [trace(number) for number in self._numbers((page - 1) * api.page_size)]
            pages = -(-api.records // api.page_size)
            meta = {"page": page, "limit": api.page_size, "totalItems": api.records, "totalPages": pages}
            self._answer(None, self.headers["Authorization"] == basic, {"data": data, "meta": meta})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            start = int(body.get("cursor", 0))
            following = start + api.page_size
            document = {"items": [run(number) for number in self._numbers(start)]}
            document["next_cursor"] = str(following) if following < api.records else None  # type: ignore[assignment]
            self._answer(body, self.headers["X-API-Key"] == API_KEY, document)

        def _numbers(self, start: int) -> range:
            return range(start, min(start + api.page_size, api.records))

        def _answer(self, body: Any, is_allowed: bool, document: Any) -> None:
            api.calls.append((self.command, self.path, body))
            status = api.statuses.popleft() if api.statuses else 200 if is_allowed else 401
            content = (api.content or json.dumps(document if status == 200 else {"message": "no"})).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: pytest's output is for failures."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    api = RemoteApi(f"http://127.0.0.1:{server.server_address[1]}")
    with serving(server):
        yield api
