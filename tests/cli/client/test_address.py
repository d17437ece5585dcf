"""The server and the key of a command: flags, environment, the local `phospho up`, defaults, in that order."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.conftest import Run
from cli.fake_server import FakeServer
from phospho_cli.client.address import DEFAULT_BASE_URL, Address, ClientSettings, find_address
from phospho_cli.client.failures import Failure
from phospho_cli.client.http import Client


def started(folder: Path, base_url: str) -> Path:
    """Leave what a running `phospho up` writes about itself."""
    folder.mkdir()
    (folder / "server.json").write_text(json.dumps({"base_url": base_url, "project_id": "shop", "pid": 1}))
    (folder / "admin-token").write_text("local-admin-token\n")
    return folder


@pytest.mark.parametrize("suffix", ["", "/", "/v2", "/v3", "/v2/", "/api/v1", "/api/v1/"])
def test_address_drops_the_api_path_of_a_base_url(tmp_path: Path, suffix: str) -> None:
    assert find_address(ClientSettings(f"http://host:1{suffix}", "k", data_dir=tmp_path)).base_url == "http://host:1"


def test_address_defaults_to_the_local_server(tmp_path: Path) -> None:
    assert find_address(ClientSettings(data_dir=tmp_path)) == Address(DEFAULT_BASE_URL, idle_folder=tmp_path)


def test_command_says_in_which_folder_no_server_runs(
    run: Run, tmp_path: Path, closed_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("phospho_cli.client.address.DEFAULT_BASE_URL", closed_url)

    result = run("query", "SELECT 1", PHOSPHO_BASE_URL=None, PHOSPHO_API_KEY=None)

    assert result.exit_code == 3
    assert f"No `phospho up` runs in {tmp_path / 'phospho-data'}." in result.stderr
    assert "set PHOSPHO_DATA to its data folder" in result.stderr


def test_address_takes_url_and_token_of_the_local_server(server: FakeServer, run: Run, tmp_path: Path) -> None:
    started(tmp_path / "phospho-data", server.base_url)

    result = run("projects", "list", PHOSPHO_BASE_URL=None, PHOSPHO_API_KEY=None)

    assert result.exit_code == 0, result.output
    headers = server.requests[-1].headers
    assert headers["authorization"] == "Bearer local-admin-token"
    assert headers["x-phospho-project"] == "shop"


def test_address_prefers_the_environment_to_the_local_server(server: FakeServer, run: Run, tmp_path: Path) -> None:
    started(tmp_path / "elsewhere", server.base_url)

    run("projects", "list", PHOSPHO_BASE_URL=None, PHOSPHO_DATA=str(tmp_path / "elsewhere"))

    assert server.requests[-1].headers["authorization"] == "Bearer ph_test-key"
    assert "x-phospho-project" not in server.requests[-1].headers


def test_address_prefers_options_to_the_environment(server: FakeServer, run: Run, closed_url: str) -> None:
    flags = ("--base-url", server.base_url, "--api-key", "ph_test-key", "--project", "other")

    result = run("projects", "list", *flags, PHOSPHO_BASE_URL=closed_url, PHOSPHO_API_KEY="x", PHOSPHO_PROJECT_ID="y")

    assert result.exit_code == 0
    assert server.requests[-1].headers["x-phospho-project"] == "other"


def test_address_never_sends_the_local_token_elsewhere(tmp_path: Path) -> None:
    folder = started(tmp_path / "data", "http://127.0.0.1:8420")

    address = find_address(ClientSettings("http://example.com", data_dir=folder))

    assert address == Address("http://example.com")


def test_client_takes_the_new_token_of_a_restarted_local_server(server: FakeServer, tmp_path: Path) -> None:
    folder = started(tmp_path / "data", server.base_url)
    (folder / "admin-token").write_text("that-of-the-start-before")
    client = Client(find_address(ClientSettings(data_dir=folder)))
    (folder / "admin-token").write_text("local-admin-token")

    with client:
        assert client.get("/api/v1/projects") == {"projects": []}
        assert client.get("/api/v1/projects") == {"projects": []}
    sent = [request.headers["authorization"] for request in server.requests]
    assert sent == ["Bearer that-of-the-start-before", *["Bearer local-admin-token"] * 2]


def test_client_does_not_repeat_a_refused_local_token(server: FakeServer, tmp_path: Path) -> None:
    folder = started(tmp_path / "data", server.base_url)
    (folder / "admin-token").write_text("that-of-the-start-before")

    with Client(find_address(ClientSettings(data_dir=folder))) as client, pytest.raises(Failure) as refused:
        client.get("/api/v1/projects")

    assert refused.value.status == 401
    assert len(server.requests) == 1


def test_address_ignores_half_a_server_file(tmp_path: Path) -> None:
    folder = started(tmp_path / "data", "http://127.0.0.1:8420")
    (folder / "server.json").write_text('{"base_url": "http://127')

    assert find_address(ClientSettings(data_dir=folder)) == Address(DEFAULT_BASE_URL, idle_folder=folder)


def test_address_hides_a_malformed_key(run: Run) -> None:
    result = run("projects", "list", PHOSPHO_API_KEY="ph_secret\nwith a break")

    assert result.exit_code == 2
    assert "secret" not in result.output
    assert "secret" not in repr(Address("http://host", "ph_secret"))


def test_address_needs_a_scheme(run: Run) -> None:
    result = run("projects", "list", "--base-url", "localhost:8420")

    assert result.exit_code == 2
    assert "must start with http://" in result.stderr
