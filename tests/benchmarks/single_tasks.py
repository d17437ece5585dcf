"""
`python -m benchmarks.single_tasks`: one task a request into `phospho up`, by 1 and by 16 connections.

Prints tasks a second of the wall and of a core, and the server's CPU for a task.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.processes import Process, free_port, part, phospho
from benchmarks.sizes import FULL, KEY, PROJECT


def main() -> None:
    """Start a server, post for each number of connections, and print a line for each."""
    with tempfile.TemporaryDirectory(prefix="phospho-bench-") as name:
        for run in measure(Path(name), FULL.single_runs):
            print(
                f"{run['connections']:>3} connections: {run['tasks_per_s']:,.0f} tasks/s,"
                f" {run['tasks_per_s_per_core']:,.0f} a core, {run['cpu_ms_a_task']:.1f} ms of CPU a task"
            )


def measure(folder: Path, runs: Sequence[tuple[int, int]]) -> list[dict[str, Any]]:
    """Return the rates of each run: a number of connections, and of tasks."""
    reports = []
    with running_server(folder) as (server, port):
        post(folder, port, 1, 50)
        for connections, tasks in runs:
            before_s = server.cpu_s()
            wall_s = post(folder, port, connections, tasks)
            cpu_s = server.cpu_s() - before_s
            report = {"connections": connections, "tasks": tasks, "tasks_per_s": tasks / wall_s}
            reports.append(report | {"tasks_per_s_per_core": tasks / cpu_s, "cpu_ms_a_task": cpu_s / tasks * 1000})
    return reports


@contextmanager
def running_server(folder: Path) -> Iterator[tuple[Process, int]]:
    """Yield `phospho up` with its data in `folder`, and its port."""
    port = free_port()
    client = {"PHOSPHO_PROJECT_ID": PROJECT, "PHOSPHO_API_KEY": KEY}
    command = phospho("up", "--data", str(folder / "data"), "--port", str(port), "--clickhouse-port", "0")
    with Process("phospho up", [*command, "--grpc-port", "0"], folder / "up.log", client) as server:
        server.wait_for_http(f"http://127.0.0.1:{port}/readyz")
        yield server, port


def post(folder: Path, port: int, connections: int, tasks: int) -> float:
    """Post tasks, and return how many seconds it took."""
    run = f"{connections}-{tasks}"
    options = ["--port", str(port), "--key", KEY, "--run", run, "--count", str(tasks), "--batch", "1"]
    with part("load", folder / "load.log", *options, "--connections", str(connections)) as client:
        client.tell_to_go()
        result = client.result()
    return float(result["ended_s"] - result["began_s"])


if __name__ == "__main__":
    main()
