"""A schedule of faults that depends on its seed alone, and how each is done to a cluster."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator, Mapping

from fixtures.shapes import OnKafka

# Longer than the session timeout of the workers' consumer groups, 10 s.
_SLEEP_S = 13.0
_OUTAGE_S = 3.0
_PAUSES_S = (1.0, 6.0)


def _kill_worker(cluster: OnKafka, choice: random.Random) -> None:
    worker = cluster.workers[choice.choice(sorted(cluster.workers))]
    worker.kill()
    worker.start()


def _stop_worker(cluster: OnKafka, choice: random.Random) -> None:
    """A stop and a start are two rebalances."""
    worker = cluster.workers[choice.choice(sorted(cluster.workers))]
    worker.stop()
    worker.start()


def _make_a_zombie(cluster: OnKafka, choice: random.Random) -> None:
    pid = cluster.workers[choice.choice(sorted(cluster.workers))].pid
    if pid is not None:
        os.kill(pid, signal.SIGSTOP)
        time.sleep(_SLEEP_S)
        os.kill(pid, signal.SIGCONT)


def _restart_broker(cluster: OnKafka, choice: random.Random) -> None:
    cluster.kafka.kill() if choice.random() < 0.5 else cluster.kafka.stop()
    time.sleep(_OUTAGE_S)
    cluster.kafka.start()
    cluster.kafka.wait_until_ready()


def _restart_clickhouse(cluster: OnKafka, choice: random.Random) -> None:
    cluster.clickhouse.kill() if choice.random() < 0.5 else cluster.clickhouse.stop()
    time.sleep(_OUTAGE_S)
    cluster.clickhouse.start()
    cluster.clickhouse.wait_until_ready()


Fault = Callable[[OnKafka, random.Random], None]
# With the share of each among the faults.
FAULTS: Mapping[str, tuple[Fault, int]] = {
    "kill -9 of a worker": (_kill_worker, 10),
    "restart of a worker": (_stop_worker, 4),
    "SIGSTOP beyond the session timeout": (_make_a_zombie, 2),
    "restart of the broker": (_restart_broker, 3),
    "restart of ClickHouse": (_restart_clickhouse, 2),
}


def schedule(seed: int) -> Iterator[tuple[str, float, random.Random]]:
    """Yield faults without an end: the name, the pause before it, and the choices within it."""
    choice = random.Random(seed)
    shares = [share for _, share in FAULTS.values()]
    while True:
        [name] = choice.choices(list(FAULTS), shares)
        yield name, choice.uniform(*_PAUSES_S), random.Random(choice.random())
