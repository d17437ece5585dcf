"""The command run as a user runs it, against a fake server on loopback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import click.testing
import pytest

from cli.fake_server import API_KEY, FakeServer
from phospho_cli import main

PHOSPHO_VARIABLES = ("PHOSPHO_BASE_URL", "PHOSPHO_API_KEY", "PHOSPHO_PROJECT_ID", "PHOSPHO_DATA")

Run = Callable[..., click.testing.Result]


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as fake:
        yield fake


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of the person who runs the tests, and no `phospho-data` beside them."""
    for name in PHOSPHO_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(server: FakeServer) -> Run:
    """Run `phospho …` against the server, with a key of it."""

    def run_command(*arguments: str, stdin: str | bytes | None = None, **env: str | None) -> click.testing.Result:
        known = {"PHOSPHO_BASE_URL": server.base_url, "PHOSPHO_API_KEY": API_KEY}
        return click.testing.CliRunner().invoke(main, arguments, input=stdin, env=known | env, prog_name="phospho")

    return run_command


@pytest.fixture
def closed_url() -> str:
    """The address of a port that nothing listens on."""
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as unused:
        return f"http://127.0.0.1:{unused.server_address[1]}"
