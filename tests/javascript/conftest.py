"""The JavaScript packages, built and installed as a user has them, and a running `phospho up`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from fixtures.node import ALIAS, App, installed_package, make_app, packed
from fixtures.openai_server import OpenAIServer
from fixtures.shapes import API_KEY, OneProcess

Query = Callable[[str], list[dict[str, Any]]]


class Archive(NamedTuple):
    """A packed package, and the names of its files."""

    path: Path
    files: list[str]


@pytest.fixture(scope="session")
def archives(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Archive]:
    folder = tmp_path_factory.mktemp("packed")
    package = installed_package()
    return {"phospho": Archive(*packed(package, folder)), "phospho-sdk": Archive(*packed(ALIAS, folder))}


@pytest.fixture(scope="session")
def app_folder(tmp_path_factory: pytest.TempPathFactory, archives: dict[str, Archive]) -> Path:
    """An app that has installed both names of the SDK, and OpenAI's client."""
    folder = make_app(tmp_path_factory.mktemp("apps") / "app", [archive.path for archive in archives.values()])
    (folder / "node_modules" / "openai").symlink_to(installed_package() / "node_modules" / "openai")
    return folder


@pytest.fixture(scope="session")
def shape(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneProcess]:
    with OneProcess(tmp_path_factory.mktemp("javascript")) as shape:
        yield shape


@pytest.fixture(scope="session")
def query(shape: OneProcess) -> Query:
    """Return the rows of a SELECT on the running server."""

    def rows(sql: str) -> list[dict[str, Any]]:
        headers = {"Authorization": f"Bearer {API_KEY}"}
        answer = httpx.post(f"{shape.base_url}/api/v1/sql", json={"query": sql}, headers=headers)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["data"])

    return rows


@pytest.fixture
def logged(query: Query) -> Callable[[], list[dict[str, Any]]]:
    """Return the tasks that were logged since the test began, in their order."""
    before = {row["task_id"] for row in query("SELECT task_id FROM tasks")}

    def tasks() -> list[dict[str, Any]]:
        return [
            row for row in query("SELECT * FROM tasks ORDER BY created_at, task_id") if row["task_id"] not in before
        ]

    return tasks


@pytest.fixture(scope="session")
def openai_server() -> Iterator[OpenAIServer]:
    with OpenAIServer() as server:
        yield server


@pytest.fixture
def app(app_folder: Path, shape: OneProcess, openai_server: OpenAIServer) -> App:
    """Programs that log to the running server, and may call OpenAI's client."""
    openai = {"OPENAI_API_KEY": "sk-none", "OPENAI_BASE_URL": openai_server.url}
    return App(app_folder, shape.client_environment() | openai)
