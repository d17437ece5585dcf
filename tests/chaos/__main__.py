"""
`python -m chaos --seed 1 --faults 170`: do faults under load, and print what was lost, doubled and different.

`python -m chaos --outage 600` stops ClickHouse for ten minutes instead.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

from chaos.cluster import ChaosCluster, PeakMemory
from chaos.faults import FAULTS, clickhouse_outage, schedule
from chaos.load import Load
from chaos.outcome import Outcome, dead_letters, differing_rows, doubled_rows, ledger_totals, lost_tasks

DEFINITIONS = """
definitions:
  - {name: refund, engine: keyword, scope: input, keywords: [refund]}
  - {name: useless, engine: regex, scope: input, pattern: "use(less)"}
"""


# Does faults to a cluster, and returns the number of each.
Faults = Callable[[ChaosCluster], Counter[str]]


def run(folder: Path, do_faults: Faults, pause_s: float) -> Outcome:
    """Do faults to a cluster under load, then log the same input in a project without faults, to new processes."""
    with ChaosCluster(folder) as cluster:
        quiet = cluster.of_project("quiet")
        (folder / "definitions.yaml").write_text(DEFINITIONS)
        for shape in (quiet, cluster):
            shape.apply_definitions(folder / "definitions.yaml")
        load, memory = Load(cluster, pause_s), PeakMemory(cluster)
        with memory.sampled():
            with load.running():
                done = do_faults(cluster)
            begun_s = time.monotonic()
            cluster.supervise()
            cluster.settle()
            catch_up_s = time.monotonic() - begun_s
        cluster.restart_all()
        Load(quiet).repeat(load.batches)
        quiet.settle()
        return Outcome(
            faults=done,
            accepted=len(load.accepted),
            lost=len(lost_tasks(cluster, load)),
            doubled=doubled_rows(cluster),
            differing=differing_rows(cluster, quiet),
            dead_letters=dead_letters(cluster),
            ledger=ledger_totals(cluster),
            catch_up_s=catch_up_s,
            megabytes=memory.megabytes,
            exits=cluster.exits,
            answers=str(load.answers),
        )


def scheduled_faults(seed: int, number: int, cluster: ChaosCluster) -> Counter[str]:
    """Do a number of faults of a seed's schedule."""
    done: Counter[str] = Counter()
    for name, pause_s, choice in itertools.islice(schedule(seed), number):
        time.sleep(pause_s)
        cluster.supervise()
        FAULTS[name][0](cluster, choice)
        done[name] += 1
        print(f"{done.total()}: {name}", file=sys.stderr, flush=True)
    return done


def main() -> None:
    """Run the seeds, print a line each, and exit with 1 where one is not good."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, action="append", default=[])
    parser.add_argument("--faults", type=int, default=50)
    parser.add_argument("--outage", type=float, help="stop ClickHouse for so many seconds, and do no other fault")
    parser.add_argument("--folder", type=Path, help="keeps logs and data; a temporary one by default")
    parser.add_argument("--pause", type=float, default=1.0, help="seconds between two batches of a source")
    arguments = parser.parse_args()
    is_good = True
    for seed in arguments.seed or [1]:
        with tempfile.TemporaryDirectory() as temporary:
            folder = (arguments.folder or Path(temporary)) / f"seed-{seed}"
            folder.mkdir(parents=True)
            do_faults = partial(scheduled_faults, seed, arguments.faults)
            if arguments.outage:
                do_faults = partial(clickhouse_outage, arguments.outage)
            outcome = run(folder, do_faults, arguments.pause)
        print(f"seed {seed}: {outcome}", flush=True)
        is_good = is_good and outcome.is_good
    sys.exit(not is_good)


if __name__ == "__main__":
    main()
