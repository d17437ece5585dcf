"""The examples of docs/kafka.md, as a newcomer pastes them, against the workers on a real Kafka."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fixtures.phospho_process import clean_environment
from fixtures.shapes import OnKafka
from phospho_store.registry.registry import Registry

pytestmark = pytest.mark.kafka

PAGE = (Path(__file__).parents[2] / "docs/kafka.md").read_text("utf-8")
PROJECT_ID = "parcels"
API_KEY = "ph_a_key_for_the_examples_0123456789"
_TIMEOUT_S = 30.0


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def environment(shape: OnKafka) -> dict[str, str]:
    """What the examples read, for a project of their own, and the `phospho` of this environment."""
    Registry(shape.store).save_project(PROJECT_ID)
    Registry(shape.store).create_key(PROJECT_ID, secret=API_KEY)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    server = {
        "PHOSPHO_KAFKA": shape.kafka.bootstrap_servers,
        "PHOSPHO_PROJECT_ID": PROJECT_ID,
        "PHOSPHO_API_KEY": API_KEY,
    }
    return clean_environment() | shape.client_environment() | server | {"PATH": path}


def run(command: list[str], shape: OnKafka, folder: Path) -> str:
    done = subprocess.run(
        command, env=environment(shape), cwd=folder, capture_output=True, text=True, timeout=90, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def seen(shape: OnKafka, task_id: str) -> str:
    """Return input and output of a task when it is there."""
    deadline_s = time.monotonic() + _TIMEOUT_S
    sql = "SELECT input, output FROM tasks WHERE project_id = {project:String} AND task_id = {task:String}"
    while not (rows := shape.store.rows(sql, {"project": PROJECT_ID, "task": task_id})):
        assert time.monotonic() < deadline_s, f"{task_id} was not seen in {_TIMEOUT_S} s"
        time.sleep(0.2)
    return "\t".join(rows[0].values())


def test_python(on_kafka: OnKafka, tmp_path: Path) -> None:
    (example,) = blocks("python")
    run([sys.executable, "-c", example], on_kafka, tmp_path)
    assert seen(on_kafka, "kafka-python-1") == "Where is my parcel?\tIt arrives tomorrow."


def test_javascript(on_kafka: OnKafka, tmp_path: Path) -> None:
    (example,) = blocks("js")
    (tmp_path / "log.mjs").write_text(example)
    run(["npm", "install", "--silent", "--no-audit", "--no-fund", "kafkajs@2.2.4"], on_kafka, tmp_path)
    run(["node", "log.mjs"], on_kafka, tmp_path)
    assert seen(on_kafka, "kafka-js-1") == "Can I pay by card?\tYes, by any card."


def test_one_shell_command(on_kafka: OnKafka, tmp_path: Path) -> None:
    command, query = blocks("bash")
    run(["bash", "-e", "-c", command], on_kafka, tmp_path)
    assert seen(on_kafka, "kafka-shell-1") == "Is it open on Sunday?\tFrom ten."
    assert "kafka-shell-1" in run(["bash", "-e", "-c", query], on_kafka, tmp_path)
