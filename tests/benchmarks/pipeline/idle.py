"""
`python -m benchmarks.pipeline.idle`: what an idle `phospho up` costs, in milliseconds of CPU a second.

It posts some tasks first, and lets jobs and merges come to rest. Then nobody asks and nothing arrives.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from benchmarks.processes import Process
from benchmarks.single_tasks import post, running_server

_TASKS = 200
_REST_S = 60.0
_MEASURED_S = 60.0


def main() -> None:
    """Start a server, let it rest, and print its CPU."""
    with tempfile.TemporaryDirectory(prefix="phospho-bench-") as name, running_server(Path(name)) as (server, port):
        print(f"the first {_REST_S:.0f} s after the start: {_cpu_ms_per_s(server, _REST_S):.0f} ms/s")
        post(Path(name), port, 1, _TASKS)
        print(f"{_REST_S:.0f} s after {_TASKS} tasks: {_cpu_ms_per_s(server, _REST_S):.0f} ms/s")
        print(f"idle: {_cpu_ms_per_s(server, _MEASURED_S):.0f} ms/s")


def _cpu_ms_per_s(server: Process, seconds: float) -> float:
    before_s = server.cpu_s()
    time.sleep(seconds)
    return (server.cpu_s() - before_s) / seconds * 1000


if __name__ == "__main__":
    main()
