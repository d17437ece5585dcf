"""
`python -m benchmarks.single_tasks`: one task a request into `phospho up`, by 1 and by 16 connections.

Prints tasks a second of the wall and of a core, and the server's CPU for a task.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.processes import Process, free_port, part, phospho
from benchmarks.sizes import KEY, PROJECT

_RUNS = ((1, 200), (16, 3_000))


def main() -> None:
    """Start a server, post for each number of connections, and print a line for each."""
    with tempfile.TemporaryDirectory(prefix="phospho-bench-") as name:
        folder, port = Path(name), free_port()
        client = {"PHOSPHO_PROJECT_ID": PROJECT, "PHOSPHO_API_KEY": KEY}
        command = phospho("up", "--data", str(folder / "data"), "--port", str(port), "--clickhouse-port", "0")
        with Process("phospho up", command, folder / "up.log", client) as server:
            server.wait_for_http(f"http://127.0.0.1:{port}/readyz")
            _post(folder, port, 1, 50)
            for connections, tasks in _RUNS:
                before_s = server.cpu_s()
                wall_s = _post(folder, port, connections, tasks)
                cpu_s = server.cpu_s() - before_s
                print(
                    f"{connections:>3} connections: {tasks / wall_s:,.0f} tasks/s, {tasks / cpu_s:,.0f} a core,"
                    f" {cpu_s / tasks * 1000:.1f} ms of CPU a task"
                )


def _post(folder: Path, port: int, connections: int, tasks: int) -> float:
    """Post tasks, and return how many seconds it took."""
    run = f"{connections}-{tasks}"
    options = ["--port", str(port), "--key", KEY, "--run", run, "--count", str(tasks), "--batch", "1"]
    with part("load", folder / "load.log", *options, "--connections", str(connections)) as client:
        client.tell_to_go()
        result = client.result()
    return float(result["ended_s"] - result["began_s"])


if __name__ == "__main__":
    main()
