"""Cells of the failure matrix (docs/failures.md) that need a real Kafka and no test of their own has."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import httpx
import pytest
from confluent_kafka import Producer

from fixtures.phospho_process import PhosphoProcess
from fixtures.server_process import free_port
from fixtures.shapes import OnKafka
from fixtures.worker_killed_at import SINK_STEPS, STAGE_STEPS
from phospho_schemas.topics import RAW_LOGS

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(400)]

_TASKS = 200
_CELLS = [
    *((name, step) for name in ("extraction", "detection") for step in STAGE_STEPS),
    *(("sink", step) for step in SINK_STEPS),
]
# The others run in `make chaos`.
_REPRESENTATIVE = ("sink", "after-insert")


def _log(shape: OnKafka, prefix: str, number: int = _TASKS) -> None:
    events = [{"task_id": f"{prefix}-{n}", "session_id": f"{prefix}-{n % 16}", "input": f"{n}"} for n in range(number)]
    headers = {"Authorization": f"Bearer {shape.api_key}"}
    httpx.post(
        f"{shape.base_url}/api/v1/events/batch", json={"events": events}, headers=headers, timeout=60
    ).raise_for_status()


def _rows(shape: OnKafka, table: str) -> tuple[int, int]:
    """Return the rows of a table as they lie on the disk, and how many different tasks they are of."""
    sql = f"SELECT count() AS n, uniqExact(task_id) AS tasks FROM {table} WHERE project_id = '{shape.project_id}'"
    [row] = shape.store.rows(sql)
    return int(row["n"]), int(row["tasks"])


@pytest.mark.parametrize(
    ("name", "step"),
    [pytest.param(*cell, marks=[] if cell == _REPRESENTATIVE else pytest.mark.chaos) for cell in _CELLS],
)
def test_worker_killed_between_two_steps_loses_and_doubles_nothing(
    cluster: OnKafka, tmp_path: Path, name: str, step: str
) -> None:
    shape = cluster.of_project(f"killed-{name}-{step}")
    workers = [worker for each, worker in cluster.workers.items() if each.startswith(name)]
    for worker in workers:
        worker.stop()
    _log(shape, name)
    port = str(free_port())
    killed = PhosphoProcess(
        [step, name, "--metrics-port", port],
        tmp_path / "killed.log",
        f"http://127.0.0.1:{port}/readyz",
        shape.server_environment() | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        module="fixtures.worker_killed_at",
    )

    killed.start()
    try:
        assert killed.wait_until_ended() == -9, killed.log_path.read_text()[-2000:]
    finally:
        for worker in workers:
            worker.start()
    shape.settle()
    for table in ("task_rows", "analysis_rows"):
        stored, tasks = _rows(shape, table)
        assert tasks == _TASKS, table
        # ClickHouse drops a sink's repeated insert; a stage's repeated message is a row that replaces itself.
        assert stored == _TASKS or name != "sink", table
    assert shape.number("SELECT count() FROM tasks") == _TASKS


def test_messages_of_the_far_future_change_no_order_and_no_chart(cluster: OnKafka) -> None:
    """A producer without a gateway may write any time, and any revision."""
    shape = cluster.of_project("future")
    far = {"created_at": "2199-01-01T00:00:00Z", "received_at": "2199-01-01T00:00:00Z", "revision": 2**63}
    task = {"project_id": "future", "task_id": "t", "session_id": "s"}
    producer = Producer({"bootstrap.servers": shape.kafka.bootstrap_servers, "acks": "all", "log_level": 0})
    producer.produce(RAW_LOGS.name, json.dumps({**task, "input": "from the future", **far}), b"future:s")
    producer.produce(RAW_LOGS.name, json.dumps({**task, "input": "from now"}), b"future:s")
    assert producer.flush(30) == 0
    shape.settle()

    assert shape.sql("SELECT input FROM tasks") == "from now\n"
    assert shape.number("SELECT count() FROM tasks WHERE created_at > now() + INTERVAL 1 DAY") == 0
