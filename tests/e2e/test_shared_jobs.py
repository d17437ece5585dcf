"""Two processes share the jobs by project: each event is sent once, whoever dies or sleeps meanwhile."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures.clickhouse_server import ClickHouseServer
from fixtures.phospho_process import PhosphoProcess, invoke_phospho
from fixtures.server_process import free_port
from fixtures.waiting import wait_until
from phospho_store.clickhouse import remote
from phospho_store.jobs.webhooks import WebhookRepository
from phospho_store.registry.registry import Registry
from phospho_store.store import Store
from store.facts import insert
from workers.jobs.receiver import Receiver, receiving
from workers.jobs.webhook_fixtures import analysed

pytestmark = [pytest.mark.timeout(300)]

_PROJECTS = [f"shared-{number}" for number in range(12)]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[tuple[Store, dict[str, str]]]:
    """Yield a ClickHouse server's store, and the environment of workers on it."""
    with ClickHouseServer(tmp_path / "clickhouse") as clickhouse:
        environment = {
            "PHOSPHO_CLICKHOUSE": clickhouse.url,
            "PHOSPHO_SECRET_KEY": "a key of tests, long enough for it",
            "PHOSPHO_WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8",
        }
        invoke_phospho("migrate", environment=environment)
        store = remote(clickhouse.url)
        for project_id in _PROJECTS:
            Registry(store).save_project(project_id)
        yield store, environment
        store.close()


def _worker(folder: Path, name: str, environment: dict[str, str]) -> PhosphoProcess:
    port = free_port()
    arguments = ["worker", "webhooks", "--metrics-port", str(port)]
    return PhosphoProcess(arguments, folder / f"{name}.log", f"http://127.0.0.1:{port}/readyz", environment)


def _log(store: Store, name: str) -> set[str]:
    """Store an event of each project, and return their ids."""
    task_ids = [f"{project_id}-{name}" for project_id in _PROJECTS]
    rows = [analysed(project, task, ["refund"]) for project, task in zip(_PROJECTS, task_ids, strict=True)]
    insert(store, "analysis_rows", *rows)
    return {f"{task_id}-refund" for task_id in task_ids}


def _sent(receiver: Receiver) -> Counter[str]:
    return Counter(request.headers["webhook-id"] for request in list(receiver.received))


def _is_settled(store: Store, number: int) -> bool:
    sql = "SELECT countIf(status = 'delivered') AS n FROM webhook_delivery_rows FINAL"
    return int(store.rows(sql)[0]["n"]) == number


def test_event_is_sent_once_when_a_process_dies_or_sleeps(store: tuple[Store, dict[str, str]], tmp_path: Path) -> None:
    rows, environment = store
    with receiving() as receiver:
        for project_id in _PROJECTS:
            WebhookRepository(rows).add(project_id, receiver.url)
        expected: set[str] = set()

        def deliver(name: str) -> None:
            expected.update(_log(rows, name))
            wait_until(lambda: _is_settled(rows, len(expected)), name, progress=lambda: len(receiver.received))
            assert _sent(receiver) == Counter(expected), name

        with _worker(tmp_path, "first", environment) as first, _worker(tmp_path, "second", environment) as second:
            for worker in (first, second):
                worker.wait_until_ready()
            deliver("both are there")
            wait_until(lambda: _shared_by_two(first, second), "the processes don't share the projects")
            deliver("both share")
            first.kill()
            deliver("one was killed")
            first.start()
            first.wait_until_ready()
            deliver("it is back")
            assert second.pid is not None
            os.kill(second.pid, signal.SIGSTOP)
            deliver("one sleeps")
            os.kill(second.pid, signal.SIGCONT)
            deliver("it is awake")
            wait_until(lambda: _shared_by_two(first, second), "the processes don't share the projects again")
            deliver("both share again")


def _shared_by_two(*workers: PhosphoProcess) -> bool:
    """Tell whether the last generation that each process works in has two members."""
    return all("shared by" in _last_share(worker) and "by 2 " in _last_share(worker) for worker in workers)


def _last_share(worker: PhosphoProcess) -> str:
    lines = [line for line in worker.log_path.read_text().splitlines() if "shared by" in line]
    return lines[-1] if lines else ""
