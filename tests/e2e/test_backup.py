"""`phospho backup` while `phospho up` runs, and `phospho restore` into a new folder."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from fixtures.phospho_process import run_phospho
from fixtures.shapes import OneProcess
from phospho_cli import main

pytestmark = [pytest.mark.timeout(300)]


def _log(shape: OneProcess, number: int) -> None:
    events = [{"task_id": f"t{n}", "input": f"question {n}", "output": "answer"} for n in range(number)]
    headers = {"Authorization": f"Bearer {shape.api_key}"}
    httpx.post(f"{shape.base_url}/api/v1/events/batch", json={"events": events}, headers=headers).raise_for_status()


def test_backup_of_a_running_server_restores_with_every_row(tmp_path: Path) -> None:
    backup, data = tmp_path / "backup", tmp_path / "first/data"
    with OneProcess(tmp_path / "first") as shape:
        _log(shape, 300)
        digest = shape.digest()
        run_phospho("backup", str(backup), "--data", str(data), environment={})
        _log(shape, 301)
        again = CliRunner().invoke(main, ["backup", str(backup), "--data", str(data)])
        assert "already exists" in again.output

    run_phospho("restore", str(backup), "--data", str(tmp_path / "second/data"), environment={})

    assert (tmp_path / "second/data/secret-key").read_text() == (data / "secret-key").read_text()
    with OneProcess(tmp_path / "second") as restored:
        assert restored.digest() == digest
    refused = CliRunner().invoke(main, ["restore", str(backup), "--data", str(tmp_path / "second/data")])
    assert "is not empty" in refused.output
    _damage(backup)
    damaged = CliRunner().invoke(main, ["restore", str(backup), "--data", str(tmp_path / "third")])
    assert damaged.exit_code == 1
    assert "was not restored" in damaged.output


def _damage(backup: Path) -> None:
    """Change a byte in the middle of the largest file."""
    file = max((path for path in backup.rglob("*.bin") if path.is_file()), key=lambda path: path.stat().st_size)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(content)
