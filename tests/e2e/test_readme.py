"""The README's examples, as a newcomer pastes them."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fixtures.phospho_process import clean_environment
from fixtures.shapes import OneProcess

ROOT = Path(__file__).parents[2]
README, COMMANDS = ROOT / "README.md", ROOT / "docs/cli.md"
LOG = {"session_id": "s1", "input": "I want my money back", "output": "As an AI language model I can't."}


@pytest.fixture(scope="module")
def shape(up: OneProcess) -> OneProcess:
    return up.of_project("readme")


def blocks(document: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", document.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def run(shape: OneProcess, command: list[str], folder: Path) -> str:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = clean_environment() | shape.client_environment() | {"PATH": path}
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_python_example_is_seen_with_its_feedback(shape: OneProcess, tmp_path: Path) -> None:
    (example,) = blocks(README, "python")

    run(shape, [sys.executable, "-c", example], tmp_path)

    row = shape.sql("SELECT input, flag, user_id FROM tasks")
    assert row == "I need a flight to Lisbon\tsuccess\tuser-1\n"


def test_the_shell_examples_run_in_their_order(shape: OneProcess, tmp_path: Path) -> None:
    (definitions,) = blocks(COMMANDS, "yaml")
    (tmp_path / "definitions.yaml").write_text(definitions)
    (tmp_path / "logs.jsonl.gz").write_bytes(gzip.compress(json.dumps(LOG).encode()))

    logged, counted = [
        run(shape, ["bash", "-e", "-c", block.replace("http://127.0.0.1:8420", shape.base_url)], tmp_path)
        for document in (README, COMMANDS)
        for block in blocks(document, "bash")
    ]

    assert json.loads(logged)["session_id"] == "conversation-1"
    assert "refund\t1" in counted
    assert "as_an_ai\t1" in counted
