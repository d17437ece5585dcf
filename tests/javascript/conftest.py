"""Apps with the JavaScript packages, and a running `phospho up`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from fixtures.node import App, Archive, built_package, make_app, packed, unpack
from fixtures.phospho_process import PhosphoProcess
from fixtures.providers.openai_server import OpenAIServer
from fixtures.server_process import free_port


class Server:
    """`phospho up` with a given project and key."""

    def __init__(self, folder: Path, project_id: str, api_key: str) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        first = {"PHOSPHO_PROJECT_ID": project_id, "PHOSPHO_API_KEY": api_key}
        self.environment = {**first, "PHOSPHO_BASE_URL": self.url}
        arguments = ["up", "--data", str(folder / "data"), "--port", str(port), "--clickhouse-port", "0"]
        self._process = PhosphoProcess(arguments, folder / "up.log", f"{self.url}/readyz", first)

    def running(self) -> Iterator[Server]:
        with self._process:
            self._process.wait_until_ready()
            yield self

    def define(self, definition: dict[str, Any]) -> None:
        """Store the definition of an event."""
        self._posted("/api/v1/definitions", {"definitions": [definition]})

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """Return the rows of a SELECT."""
        return list(self._posted("/api/v1/sql", {"query": sql})["data"])

    def _posted(self, path: str, body: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.environment['PHOSPHO_API_KEY']}"}
        answer = httpx.post(f"{self.url}{path}", json=body, headers=headers, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    return packed(tmp_path_factory.mktemp("packed"))


@pytest.fixture(scope="session")
def app_folder(tmp_path_factory: pytest.TempPathFactory, archive: Archive) -> Path:
    """An app that has the SDK, also under the name that upstream's users import, OpenAI's client and the AI SDK."""
    folder = make_app(tmp_path_factory.mktemp("apps") / "app")
    for name in ("phospho-sdk", "phospho"):
        unpack(folder, name, archive)
    for name in ("openai", "ai"):
        (folder / "node_modules" / name).symlink_to(built_package() / "node_modules" / name)
    return folder


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server of all tests. Its project and key are those of the first document."""
    yield from Server(tmp_path_factory.mktemp("server"), "project_id", "api_key").running()


@pytest.fixture
def logged(server: Server) -> Callable[[], list[dict[str, Any]]]:
    """Return a function that returns the tasks logged since the test began, in their order."""
    before = {row["task_id"] for row in server.rows("SELECT task_id FROM tasks")}

    def tasks() -> list[dict[str, Any]]:
        rows = server.rows("SELECT * FROM tasks ORDER BY created_at, task_id")
        return [row for row in rows if row["task_id"] not in before]

    return tasks


@pytest.fixture(scope="session")
def openai_server() -> Iterator[OpenAIServer]:
    with OpenAIServer() as openai_server:
        yield openai_server


@pytest.fixture
def app(app_folder: Path, server: Server, openai_server: OpenAIServer) -> App:
    """Runs programs that log to the server, and may call OpenAI's client."""
    openai = {"OPENAI_API_KEY": "sk-none", "OPENAI_BASE_URL": openai_server.url}
    return App(app_folder, server.environment | openai)
