"""`phospho up` and its folder: rows that it can start with, and folders that it refuses."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from fixtures.phospho_process import clean_environment
from phospho_cli.data_folder import DataFolder
from phospho_cli.processes.settings import FirstProjectSettings, UpSettings
from phospho_cli.processes.up import open_up
from phospho_store.revisions import last_revision
from phospho_store.store import Store, embedded

KEY = "ph_a_key_for_tests_0123456789"
TASK = (
    b'{"project_id":"shop","task_id":"%s","revision":%d,"session_id":"s","input":"hello",'
    b'"created_at":"2026-01-01T10:00:00.000Z","received_at":"2026-01-01T10:00:00.000Z"}'
)
GOOD, MADE_UP = 7 << 16, 2**64 - 1

pytestmark = pytest.mark.usefixtures("own_engine")


@pytest.fixture
def folder_store(migrated_folder: Path, tmp_path: Path) -> Iterator[Store]:
    """The open store of the folder `tmp_path`."""
    shutil.copytree(migrated_folder, tmp_path / "clickhouse", symlinks=True, copy_function=shutil.copyfile)
    store = embedded(str(tmp_path / "clickhouse"))
    yield store
    store.close()


@pytest.fixture
def data_dir(tmp_path: Path, folder_store: Store) -> Path:
    """A folder in which somebody's row has a revision that no clock of ours could have drawn."""
    folder_store.insert("task_rows", TASK % (b"good", GOOD) + b"\n" + TASK % (b"made-up", MADE_UP))
    folder_store.close()
    return tmp_path


def test_last_revision_ignores_revisions_beyond_our_clock(data_dir: Path) -> None:
    store = embedded(str(data_dir / "clickhouse"))
    assert last_revision(store) == GOOD
    store.close()


async def test_up_starts_with_a_made_up_revision_in_the_tables(data_dir: Path) -> None:
    settings = UpSettings(data_dir, port=0, clickhouse_port=0, first_project=FirstProjectSettings("shop", KEY))
    with open_up(settings) as process:
        app = httpx.ASGITransport(process.apps[0].app)
        async with httpx.AsyncClient(transport=app, base_url=process.base_url) as client:
            answer = await client.post(
                "/api/v1/events", json={"input": "a", "output": "b"}, headers={"Authorization": f"Bearer {KEY}"}
            )
    assert answer.status_code == 201, answer.text


async def test_up_opens_its_pages_by_one_printed_url_in_every_run(tmp_path: Path) -> None:
    settings = UpSettings(tmp_path, port=0, clickhouse_port=0)
    seen = []
    for _ in range(2):
        with open_up(settings) as process:
            app = httpx.ASGITransport(process.apps[0].app)
            async with httpx.AsyncClient(transport=app, base_url=process.base_url) as client:
                assert (await client.get("/sessions.json")).status_code == 401
                assert (await client.get(process.pages_url)).status_code == 303
                assert (await client.get("/sessions.json")).status_code == 200
            assert process.pages_url not in repr(process)
            seen.append(process.pages_url.partition("?")[2])
    assert seen[0] == seen[1]
    assert (tmp_path / "local-secret").stat().st_mode & 0o777 == 0o600


def test_client_env_keeps_its_key_when_the_address_changes(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    assert folder.write_client_env("http://127.0.0.1:8420", "shop", None) is None
    path = folder.write_client_env("http://127.0.0.1:8420", "shop", KEY)
    assert folder.write_client_env("http://127.0.0.1:8500", "shop", None) == path
    shell = f". {path}; echo $PHOSPHO_BASE_URL $PHOSPHO_PROJECT_ID $PHOSPHO_API_KEY"
    printed = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, check=True).stdout
    assert printed.split() == ["http://127.0.0.1:8500", "shop", KEY]
    assert path is not None
    assert path.stat().st_mode & 0o777 == 0o600


def refused_start(folder: Path) -> str:
    completed = subprocess.run(
        [sys.executable, "-m", "phospho_cli", "up", "--data", str(folder), "--port", "0"],
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (completed.returncode, completed.stdout) == (1, ""), completed.stderr
    return completed.stderr


def test_up_refuses_the_folder_of_an_earlier_version(tmp_path: Path, folder_store: Store) -> None:
    folder_store.insert("schema_migrations", b'{"version":4,"name":"followers"}')
    folder_store.close()
    error = refused_start(tmp_path)
    assert "made by an earlier, unreleased version" in error
    assert error.endswith("use another --data folder.\n")


def test_up_refuses_the_folder_of_a_running_up(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    with folder.locked(), folder.announced_server("http://127.0.0.1:8420", "default"):
        error = refused_start(tmp_path)
    assert error == (
        f"Error: Another `phospho up` uses the folder {tmp_path}. It is at http://127.0.0.1:8420."
        " Stop it, or give another folder with --data.\n"
    )


def test_up_refuses_a_taken_port_before_it_loads(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        completed = subprocess.run(
            [sys.executable, "-X", "importtime", "-m", "phospho_cli", "up", "--data", "d", "--port", str(port)],
            env=clean_environment(),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    lines = completed.stderr.splitlines()
    assert completed.returncode == 1
    assert lines[-1].startswith(f"Error: Port {port} is in use. Start with `--port {port + 1}`"), lines[-1]
    imported = {line.rpartition("|")[2].strip() for line in lines}
    assert not imported & {"chdb", "numpy", "phospho_cli.processes.up_process", "phospho_dashboard.app"}


def test_up_imports_nothing_that_it_may_not_use() -> None:
    late = {"httpx", "rich", "confluent_kafka", "joserfc", "grpc", "phospho_cli.demo.script"}
    program = f"import sys, phospho_cli.processes.up_process; print(*{late} & sys.modules.keys())"
    imported = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=60)
    assert imported.stdout.strip() == ""
