"""
`python -m chaos.soak --minutes 45 --rate 30`: run `phospho up` under a steady load, and print what grows.

A minute's sample is resident memory, threads, open files and disk. The load logs tasks, flags some of them, and reads
pages and SQL as a few people would.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from statistics import linear_regression

import httpx

from chaos.cluster import resident_megabytes
from chaos.load import batch
from fixtures.shapes import OneProcess

_DEFINITIONS = """
definitions:
  - {name: refund, engine: keyword, scope: input, keywords: [refund]}
  - {name: useless, engine: regex, scope: input, pattern: "use(less)"}
  - {name: wants to cancel, engine: semantic, scope: input, description: The user wants to cancel an order.}
"""
_BATCH_S = 1.0
_READS = ("dashboard", "tasks", "sessions", "users", "themes")
# The first minutes fill caches, and ClickHouse loads its code.
_WARM_UP = 5


@dataclass(frozen=True)
class Sample:
    """The memory, threads, open files and disk of `phospho up` at a minute."""

    minute: float
    megabytes: int
    threads: int
    files: int
    disk_megabytes: int


def sample(process: OneProcess, minute: float, folder: Path) -> Sample:
    """Take a sample of a running `phospho up`."""
    pid = process.process.pid
    threads, files = (len(os.listdir(f"/proc/{pid}/{name}")) for name in ("task", "fd"))
    return Sample(minute, resident_megabytes(pid), threads, files, _disk_bytes(folder) // 2**20)


def _disk_bytes(folder: Path) -> int:
    """Return the size of a folder whose files come and go."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(f"{path}/{name}").st_blocks * 512
            except FileNotFoundError:
                continue
    return total


class Soak:
    """A steady load on `phospho up`: `answers` counts the statuses of everything that was asked."""

    def __init__(self, shape: OneProcess, rate: int) -> None:
        self._client = httpx.Client(
            base_url=shape.base_url, headers={"Authorization": f"Bearer {shape.api_key}"}, timeout=60
        )
        self._batches_per_tick = max(rate // 20, 1)
        self._number = 0
        self.answers: Counter[int] = Counter()

    def tick(self) -> None:
        """Log what a second brings, and read a page and SQL."""
        for _ in range(self._batches_per_tick):
            events = batch("soak", self._number)
            for event in events:
                del event["created_at"]
            self._post("/api/v1/events/batch", {"events": events})
            self._number += 1
        self._post(f"/api/v1/events/soak-{self._number}/feedback", {"score": self._number % 2})
        self._get(f"/api/v1/{_READS[self._number % len(_READS)]}")
        self._post("/api/v1/sql", {"query": "SELECT name, count() FROM events GROUP BY name"})

    def _post(self, path: str, body: object) -> None:
        self.answers[self._client.post(path, json=body).status_code] += 1

    def _get(self, path: str) -> None:
        self.answers[self._client.get(path).status_code] += 1


def slope(samples: list[Sample], name: str) -> float:
    """Return how much a figure grows in an hour, after the warm-up."""
    later = [each for each in samples if each.minute >= _WARM_UP]
    if len(later) < 2:
        return 0.0
    return linear_regression([each.minute for each in later], [getattr(each, name) for each in later]).slope * 60


def run(folder: Path, minutes: float, rate: int) -> tuple[list[Sample], Counter[int]]:
    """Soak a new `phospho up`, and return a sample a minute and the answers by status."""
    samples: list[Sample] = []
    with OneProcess(folder) as shape:
        (folder / "definitions.yaml").write_text(_DEFINITIONS)
        shape.phospho("definitions", "apply", str(folder / "definitions.yaml"))
        soak, begun_s = Soak(shape, rate), time.monotonic()
        while (elapsed_s := time.monotonic() - begun_s) < minutes * 60:
            soak.tick()
            if elapsed_s >= len(samples) * 60:
                samples.append(sample(shape, elapsed_s / 60, folder / "data"))
                print(f"{samples[-1]}, answers {dict(soak.answers)}", file=sys.stderr, flush=True)
            time.sleep(max(_BATCH_S - (time.monotonic() - begun_s - elapsed_s), 0))
    return samples, soak.answers


def main() -> None:
    """Soak, and print the growth in an hour."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=45)
    parser.add_argument("--rate", type=int, default=40, help="tasks in a second")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        samples, answers = run(Path(folder), arguments.minutes, arguments.rate)
    names = ("megabytes", "threads", "files", "disk_megabytes")
    growth = ", ".join(f"{name} {slope(samples, name):+.1f}" for name in names)
    print(f"answers {dict(answers)}; first {samples[0]}; last {samples[-1]}; in an hour: {growth}")


if __name__ == "__main__":
    main()
