"""Logs into `phospho up` over HTTP until they can be queried: everything, ClickHouse included, in one process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.conversations import DEFINITIONS
from benchmarks.pipeline.readers import Reader
from benchmarks.processes import BenchmarkFailed, Process, free_port, part, phospho, run_phospho
from benchmarks.sizes import BATCH_LOGS, KEY, PROJECT, Sizes, say


def measure(folder: Path, sizes: Sizes) -> dict[str, Any]:
    """Return tasks a second of CPU and of the wall, from the first request to the moment when both views are full."""
    port, clickhouse_port = free_port(), free_port()
    client = {"PHOSPHO_BASE_URL": f"http://127.0.0.1:{port}", "PHOSPHO_PROJECT_ID": PROJECT, "PHOSPHO_API_KEY": KEY}
    command = phospho("up", "--data", str(folder), "--port", str(port), "--clickhouse-port", str(clickhouse_port))
    with Process("phospho up", command, folder.with_suffix(".log"), client) as server:
        server.wait_for_http(f"http://127.0.0.1:{port}/readyz")
        run_phospho(["definitions", "apply", str(DEFINITIONS)], client)
        reader = Reader(f"http://127.0.0.1:{clickhouse_port}")
        _load(port, folder, "warm", sizes.warm_up_tasks)
        before_s = server.cpu_s()
        loaded = _load(port, folder, "main", sizes.all_in_tasks)
        ended_s = reader.wait_for_tasks(sizes.warm_up_tasks + sizes.all_in_tasks, sizes.max_wait_s)
        cpu_s = server.cpu_s() - before_s
    if loaded["accepted"] != sizes.all_in_tasks:
        raise BenchmarkFailed(f"{loaded['accepted']} of {sizes.all_in_tasks} logs were accepted")
    wall_s = ended_s - loaded["began_s"]
    tasks = sizes.all_in_tasks
    say(f"one process: {tasks / cpu_s:,.0f} tasks/s a core, {tasks / wall_s:,.0f} by the wall")
    return {
        "tasks": tasks,
        "batch_logs": BATCH_LOGS,
        "wall_s": wall_s,
        "cpu_s": {"phospho up": cpu_s, "load client": loaded["cpu_s"]},
        "tasks_per_s": tasks / wall_s,
        "tasks_per_s_per_core": tasks / cpu_s,
    }


def _load(port: int, folder: Path, run: str, count: int) -> dict[str, Any]:
    options = ("--port", str(port), "--key", KEY, "--run", run, "--count", str(count), "--batch", str(BATCH_LOGS))
    with part("load", folder.with_suffix(".load.log"), *options) as client:
        client.tell_to_go()
        return client.result()
