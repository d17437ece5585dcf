"""The whole system on real servers, a process each: Kafka, ClickHouse, gateway, extraction, detection and sink."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.conversations import DEFINITIONS
from benchmarks.pipeline.readers import Reader
from benchmarks.processes import Process, cpu_s, free_port, phospho, run_phospho
from benchmarks.sizes import KEY, PROJECT
from fixtures.clickhouse_server import ClickHouseServer
from fixtures.kafka_server import KafkaServer

WORKERS = ("extraction", "detection", "sink")


class Cluster:
    """Kafka and ClickHouse, running, with topics and tables made; our own processes are started as they are needed."""

    def __init__(self, folder: Path, kafka: KafkaServer, clickhouse: ClickHouseServer) -> None:
        self.folder = folder
        self.kafka = kafka
        self.clickhouse = clickhouse
        self.environment = {
            "PHOSPHO_KAFKA": kafka.bootstrap_servers,
            "PHOSPHO_CLICKHOUSE": clickhouse.url,
            "PHOSPHO_PROJECT_ID": PROJECT,
            "PHOSPHO_API_KEY": KEY,
        }

    def reader(self) -> Reader:
        """Return a new connection to ClickHouse, for one thread."""
        return Reader(self.clickhouse.url)

    def servers_cpu_s(self) -> dict[str, float]:
        """Return the CPU seconds so far of what is not our code."""
        assert self.kafka.pid is not None
        assert self.clickhouse.pid is not None
        return {"kafka": cpu_s(self.kafka.pid), "clickhouse": cpu_s(self.clickhouse.pid)}

    @contextmanager
    def worker(self, name: str) -> Iterator[Process]:
        """Run one worker; it has its partitions when this yields."""
        with self._started(name) as (process, _):
            yield process

    @contextmanager
    def sink(self) -> Iterator[tuple[Process, Callable[[], float]]]:
        """Run the sink; yield it, and what tells how many rows it puts into one insert of tasks, on average."""
        with self._started("sink") as (process, port):
            yield process, lambda: _rows_an_insert(f"http://127.0.0.1:{port}/metrics")

    @contextmanager
    def _started(self, name: str) -> Iterator[tuple[Process, int]]:
        port = free_port()
        command = phospho("worker", name, "--metrics-port", str(port))
        with Process(name, command, self.folder / f"{name}.log", self.environment) as process:
            process.wait_for_http(f"http://127.0.0.1:{port}/readyz")
            yield process, port

    @contextmanager
    def gateway(self) -> Iterator[tuple[Process, int]]:
        """Run the gateway, with the benchmark's definitions applied; yield it and its port."""
        port = free_port()
        base_url = f"http://127.0.0.1:{port}"
        command = phospho("gateway", "--port", str(port))
        with Process("gateway", command, self.folder / "gateway.log", self.environment) as process:
            process.wait_for_http(f"{base_url}/readyz")
            run_phospho(["definitions", "apply", str(DEFINITIONS)], self.environment | {"PHOSPHO_BASE_URL": base_url})
            yield process, port

    @contextmanager
    def everything(self) -> Iterator[tuple[Sequence[Process], int]]:
        """Run the gateway and one of each worker; yield them and the gateway's port."""
        with ExitStack() as stack:
            gateway, port = stack.enter_context(self.gateway())
            workers = [stack.enter_context(self.worker(name)) for name in WORKERS]
            yield [gateway, *workers], port


@contextmanager
def running_cluster(folder: Path) -> Iterator[Cluster]:
    """Start Kafka and ClickHouse with empty data in `folder`, make topics and tables, and end both afterwards."""
    folder.mkdir(parents=True)
    with KafkaServer(folder / "kafka") as kafka, ClickHouseServer(folder / "clickhouse") as clickhouse:
        cluster = Cluster(folder, kafka, clickhouse)
        run_phospho(["migrate"], cluster.environment)
        run_phospho(["topics", "create"], cluster.environment)
        yield cluster


def _rows_an_insert(metrics_url: str) -> float:
    with urllib.request.urlopen(metrics_url, timeout=10.0) as answer:
        text = answer.read().decode()
    rows, inserts = (
        float(re.search(rf'^{name}{{table="task_rows"}} (\S+)$', text, re.MULTILINE)[1])  # type: ignore[index]
        for name in ("phospho_rows_inserted_total", "phospho_insert_seconds_count")
    )
    return rows / inserts
