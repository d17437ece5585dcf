"""The image's health check believes the process's own page, and nothing but a 200."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest


class HealthPages(BaseHTTPRequestHandler):
    """/healthz answers 200; /readyz answers 503 with the reason."""

    def do_GET(self) -> None:
        status, body = (200, b"ok") if self.path == "/healthz" else (503, b"clickhouse: connection refused")
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing to the test's output."""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), HealthPages) as server:
        threading.Thread(target=server.serve_forever).start()
        yield server.server_port
        server.shutdown()


def check(root: Path, port: int, path: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(root / "deploy" / "healthcheck.py"), str(port), path]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_a_page_that_answers_200_is_healthy(root: Path, port: int) -> None:
    assert check(root, port, "/healthz").returncode == 0


def test_a_page_that_answers_otherwise_is_not_and_says_why(root: Path, port: int) -> None:
    """Docker shows the output of the last checks in `docker inspect`."""
    unhealthy = check(root, port, "/readyz")
    assert unhealthy.returncode == 1
    assert "503 clickhouse: connection refused" in unhealthy.stderr


def test_a_process_that_does_not_listen_is_not_healthy(root: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), HealthPages) as server:
        closed = server.server_port
    unhealthy = check(root, closed, "/healthz")
    assert unhealthy.returncode == 1
    assert "ConnectionRefusedError" in unhealthy.stderr
