"""Examples of docs/kafka.md, as a newcomer pastes them, against the workers on a real Kafka."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fixtures.phospho_process import clean_environment
from fixtures.shapes import OnKafka
from phospho_store.registry.registry import Registry

pytestmark = pytest.mark.kafka

PAGE = (Path(__file__).parents[3] / "docs/kafka.md").read_text("utf-8")
PROJECT_ID = "parcels"
API_KEY = "ph_a_key_for_the_examples_0123456789"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def environment(shape: OnKafka) -> dict[str, str]:
    """Return the environment of the examples: a project of their own, and the `phospho` of this one on the path."""
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
    completed = subprocess.run(
        command, env=environment(shape), cwd=folder, capture_output=True, text=True, timeout=90, check=False
    )
    assert completed.returncode == 0, completed.stdout + completed.stderr
    return completed.stdout


def stored_task(shape: OnKafka, task_id: str) -> str:
    """Return input and output of a task once it is stored."""
    sql = "SELECT input, output FROM tasks WHERE project_id = {project:String} AND task_id = {task:String}"
    parameters = {"project": PROJECT_ID, "task": task_id}
    shape.wait_until(lambda: shape.store.rows(sql, parameters), f"{task_id} is not stored")
    return "\t".join(shape.store.rows(sql, parameters)[0].values())


def test_python_example_logs_a_task(cluster: OnKafka, tmp_path: Path) -> None:
    (example,) = blocks("python")
    run([sys.executable, "-c", example], cluster, tmp_path)
    assert stored_task(cluster, "kafka-python-1") == "Where is my parcel?\tIt arrives tomorrow."


def test_javascript_example_logs_a_task(cluster: OnKafka, tmp_path: Path) -> None:
    (example,) = blocks("js")
    (tmp_path / "log.mjs").write_text(example)
    run(["npm", "install", "--silent", "--no-audit", "--no-fund", "kafkajs@2.2.4"], cluster, tmp_path)
    run(["node", "log.mjs"], cluster, tmp_path)
    assert stored_task(cluster, "kafka-js-1") == "Can I pay by card?\tYes, by any card."


def test_shell_example_logs_a_task(cluster: OnKafka, tmp_path: Path) -> None:
    command, query = blocks("bash")
    run(["bash", "-e", "-c", command], cluster, tmp_path)
    assert stored_task(cluster, "kafka-shell-1") == "Is it open on Sunday?\tFrom ten."
    assert "kafka-shell-1" in run(["bash", "-e", "-c", query], cluster, tmp_path)
