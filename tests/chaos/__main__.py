"""`python -m chaos --seed 1 --seconds 180`: run faults under load, and print what was lost and doubled."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import KafkaException

from chaos.faults import FAULTS, schedule
from chaos.load import Load
from fixtures.shapes import OnKafka

_ATTEMPTS_TO_SETTLE = 10
_DEFINITIONS = """
definitions:
  - {name: refund, engine: keyword, scope: input, keywords: [refund]}
  - {name: useless, engine: regex, scope: input, pattern: "use(less)"}
"""


@dataclass(frozen=True)
class Outcome:
    """The result of a run. `doubled` are rows that readers see twice; `differing` are events that are not as logged."""

    faults: Counter[str]
    accepted: int
    lost: int
    doubled: int
    differing: int
    dead_letters: int
    catch_up_s: float

    @property
    def is_good(self) -> bool:
        return not (self.lost or self.doubled or self.differing or self.dead_letters)


def run(folder: Path, seed: int, seconds: float) -> Outcome:
    """Run a cluster with two of each worker, load it, do the faults of a seed to it, and compare."""
    faults: Counter[str] = Counter()
    with OnKafka(folder) as cluster:
        second_sink = cluster.worker("sink-2")
        cluster.workers["sink-2"] = second_sink
        with second_sink:
            second_sink.wait_until_ready()
            (folder / "definitions.yaml").write_text(_DEFINITIONS)
            cluster.apply_definitions(folder / "definitions.yaml")
            load = Load(cluster)
            with load.running():
                deadline_s = time.monotonic() + seconds
                for name, pause_s, choice in schedule(seed):
                    time.sleep(pause_s)
                    if time.monotonic() >= deadline_s:
                        break
                    FAULTS[name][0](cluster, choice)
                    faults[name] += 1
            for worker in cluster.workers.values():
                worker.start()
            begun_s = time.monotonic()
            _settle(cluster)
            return _outcome(cluster, load, faults, time.monotonic() - begun_s)


def _settle(cluster: OnKafka) -> None:
    """Wait until all is read; a broker that has just restarted may not answer for a while."""
    for _ in range(_ATTEMPTS_TO_SETTLE):
        try:
            cluster.settle()
            return
        except (TimeoutError, KafkaException):
            continue
    raise AssertionError("the broker does not answer")


def _outcome(cluster: OnKafka, load: Load, faults: Counter[str], catch_up_s: float) -> Outcome:
    stored = cluster.sql("SELECT task_id FROM tasks ORDER BY task_id").split()
    analysed = set(cluster.sql("SELECT task_id FROM analyses").split())
    wrong_events = (
        "SELECT count() FROM tasks LEFT JOIN (SELECT task_id, groupArray(name) AS names FROM events GROUP BY task_id)"
        " AS found USING task_id WHERE has(found.names, 'refund') != (position(input, 'refund') > 0)"
        " OR has(found.names, 'useless') != (position(input, 'useless') > 0) OR length(found.names) > 1"
    )
    return Outcome(
        faults=faults,
        accepted=len(load.accepted),
        lost=len(load.accepted - set(stored)) + len(load.accepted - analysed),
        doubled=len(stored) - len(set(stored)),
        differing=cluster.number(wrong_events),
        dead_letters=cluster.number("SELECT count() FROM dead_letters"),
        catch_up_s=catch_up_s,
    )


def main() -> None:
    """Run the seeds, print a line each, and exit with 1 where one is not good."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, action="append", default=[])
    parser.add_argument("--seconds", type=float, default=180.0)
    arguments = parser.parse_args()
    outcomes = []
    for seed in arguments.seed or [1]:
        with tempfile.TemporaryDirectory() as folder:
            outcome = run(Path(folder), seed, arguments.seconds)
        outcomes.append(outcome)
        faults = ", ".join(f"{number} {name}" for name, number in outcome.faults.items())
        print(
            f"seed {seed}: {outcome.faults.total()} faults ({faults});"
            f" {outcome.accepted} tasks accepted, lost {outcome.lost}, doubled {outcome.doubled},"
            f" differing {outcome.differing}, dead letters {outcome.dead_letters};"
            f" caught up in {outcome.catch_up_s:.1f} s",
            flush=True,
        )
    sys.exit(not all(outcome.is_good for outcome in outcomes))


if __name__ == "__main__":
    main()
