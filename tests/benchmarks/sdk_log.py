"""
The cost of the Python SDK for an app: the time of `phospho.log`, and of `import phospho`. Prints JSON.

    python tests/benchmarks/sdk_log.py [--calls 20000] [--imports 15]

`log` is called with a task of 1 kB (500 characters in, 500 out) in these situations: the sender takes everything
(a recording transport), the server hangs, the queue is full, and with a spool on disk. Times are in microseconds of
wall time for one call. Imports are measured in processes of their own, alternating; the time of an empty process is
taken away.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import phospho

MODULES = ("json", "phospho", "openai")
TEXT_CHARACTERS = 500


def main() -> None:
    arguments = parse_arguments()
    report = {
        "python": platform.python_version(),
        "phospho": phospho.__version__,
        "log_us": {name: measure_log(name, arguments.calls) for name in SITUATIONS},
        "import_ms": measure_imports(arguments.imports),
    }
    print(json.dumps(report, indent=2))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--imports", type=int, default=15)
    return parser.parse_args()


def measure_log(situation: str, calls: int) -> dict[str, float]:
    with SITUATIONS[situation]() as client:
        durations = sorted(timed_log(client) for _ in range(calls))
        client.close(timeout=0)
    return {
        "median": round(statistics.median(durations), 1),
        "p99": round(durations[int(calls * 0.99)], 1),
        "max": round(durations[-1], 1),
    }


def timed_log(client: phospho.Client) -> float:
    began = time.perf_counter()
    client.log(input="x" * TEXT_CHARACTERS, output="y" * TEXT_CHARACTERS, user_id="u1", metadata={"model": "gpt"})
    return (time.perf_counter() - began) * 1e6


@contextlib.contextmanager
def taken() -> Iterator[phospho.Client]:
    yield phospho.Client(transport=phospho.RecordingTransport())


@contextlib.contextmanager
def server_hangs() -> Iterator[phospho.Client]:
    with hanging_server() as url:
        yield phospho.Client(base_url=url)


@contextlib.contextmanager
def queue_is_full() -> Iterator[phospho.Client]:
    with hanging_server() as url:
        yield phospho.Client(base_url=url, limits=phospho.Limits(queue_events=10))


@contextlib.contextmanager
def spooled() -> Iterator[phospho.Client]:
    with tempfile.TemporaryDirectory() as folder:
        yield phospho.Client(transport=phospho.RecordingTransport(), spool_dir=folder)


@contextlib.contextmanager
def hanging_server() -> Iterator[str]:
    """An address that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


SITUATIONS: dict[str, Any] = {
    "taken": taken,
    "server_hangs": server_hangs,
    "queue_is_full": queue_is_full,
    "spooled": spooled,
}


def measure_imports(times: int) -> dict[str, float | None]:
    """Return the median of each module's import in milliseconds; None where it is not installed."""
    durations: dict[str, list[float]] = {name: [] for name in ("sys", *MODULES)}
    for _ in range(times):
        for name, found in durations.items():
            found.append(import_ms(name))
    nothing = statistics.median(durations.pop("sys"))
    return {
        name: None if float("inf") in found else round(statistics.median(found) - nothing, 1)
        for name, found in durations.items()
    }


def import_ms(module: str) -> float:
    began = time.perf_counter()
    finished = subprocess.run([sys.executable, "-c", f"import {module}"], check=False, stderr=subprocess.DEVNULL)
    return (time.perf_counter() - began) * 1000 if finished.returncode == 0 else float("inf")


if __name__ == "__main__":
    main()
