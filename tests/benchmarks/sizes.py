"""The sizes of a run, and the names that every part of the benchmark uses."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass

PROJECT = "bench"
KEY = "ph_bench-key-of-the-benchmark-0123456789"
BATCH_LOGS = 500

_STARTED_S = time.monotonic()


@dataclass(frozen=True)
class Sizes:
    """
    warm_up_tasks: logged before the clock starts, so that models and caches are loaded.
    rounds: how often each side of a ratio is measured, in turns.
    single_runs: connections, and tasks that they log one by one.
    max_wait_s: how long one wait may take.
    """

    warm_up_tasks: int
    all_in_tasks: int
    backlog_messages: int
    rounds: int
    probes: int
    single_runs: tuple[tuple[int, int], ...]
    max_wait_s: float = 180.0


FULL = Sizes(
    warm_up_tasks=5_000,
    all_in_tasks=60_000,
    backlog_messages=200_000,
    rounds=3,
    probes=400,
    single_runs=((1, 200), (16, 3_000)),
)
QUICK = Sizes(
    warm_up_tasks=1_000,
    all_in_tasks=6_000,
    backlog_messages=40_000,
    rounds=1,
    probes=40,
    single_runs=((1, 20), (16, 160)),
)


def say(line: str) -> None:
    """Print a line of progress, with the seconds since the start."""
    print(f"[{time.monotonic() - _STARTED_S:6.1f} s] {line}", file=sys.stderr, flush=True)
