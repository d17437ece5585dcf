"""A schedule of faults that depends on its seed alone, and how each is done to a cluster."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from chaos.cluster import SESSION_TIMEOUT_S
from fixtures.phospho_process import PhosphoProcess
from fixtures.server_process import ReadyServer
from fixtures.shapes import OnKafka

_SLEEP_S = SESSION_TIMEOUT_S + 2.0
_RESTART_S = 1.0
_OUTAGES_S = (6.0, 11.0)
_GUEST_S = 3.0
_LOAD_AROUND_S = 5.0
_PAUSES_S = (0.2, 1.5)


def _worker(cluster: OnKafka, choice: random.Random) -> PhosphoProcess:
    return cluster.workers[choice.choice(sorted(cluster.workers))]


def _kill_worker(cluster: OnKafka, choice: random.Random) -> None:
    worker = _worker(cluster, choice)
    worker.kill()
    worker.start()


def _stop_worker(cluster: OnKafka, choice: random.Random) -> None:
    """A stop and a start are two rebalances."""
    worker = _worker(cluster, choice)
    worker.stop()
    worker.start()


def _kill_gateway(cluster: OnKafka, choice: random.Random) -> None:
    gateway = cluster.gateways[choice.choice(sorted(cluster.gateways))]
    gateway.kill()
    gateway.start()


def _make_a_zombie(cluster: OnKafka, choice: random.Random) -> None:
    pid = _worker(cluster, choice).pid
    if pid is not None:
        os.kill(pid, signal.SIGSTOP)
        time.sleep(_SLEEP_S)
        os.kill(pid, signal.SIGCONT)


def _add_a_worker(cluster: OnKafka, choice: random.Random) -> None:
    """A third worker of a stage comes and goes: rebalances of those that stay."""
    stage = choice.choice(["extraction", "detection", "sink"])
    with cluster.worker(f"{stage}-guest") as guest:
        guest.wait_until_ready()
        time.sleep(_GUEST_S)
        guest.stop()


def _restart(server: ReadyServer, choice: random.Random) -> None:
    server.kill() if choice.random() < 0.5 else server.stop()
    time.sleep(_RESTART_S)
    server.start()


def _restart_broker(cluster: OnKafka, choice: random.Random) -> None:
    _restart(cluster.kafka, choice)


def _restart_clickhouse(cluster: OnKafka, choice: random.Random) -> None:
    _restart(cluster.clickhouse, choice)


def _outage(cluster: OnKafka, server: ReadyServer, choice: random.Random) -> None:
    """A worker is killed during the outage, so that others take over what it had begun."""
    server.kill()
    _kill_worker(cluster, choice)
    time.sleep(choice.uniform(*_OUTAGES_S))
    server.start()


def _broker_outage(cluster: OnKafka, choice: random.Random) -> None:
    _outage(cluster, cluster.kafka, choice)


def _clickhouse_outage(cluster: OnKafka, choice: random.Random) -> None:
    _outage(cluster, cluster.clickhouse, choice)


def clickhouse_outage(seconds: float, cluster: OnKafka) -> Counter[str]:
    """Stop ClickHouse for some seconds, with load before and after."""
    time.sleep(_LOAD_AROUND_S)
    cluster.clickhouse.kill()
    time.sleep(seconds)
    cluster.clickhouse.start()
    time.sleep(_LOAD_AROUND_S)
    return Counter({"outage of ClickHouse": 1})


Fault = Callable[[OnKafka, random.Random], None]
# With the share of each among the faults.
FAULTS: Mapping[str, tuple[Fault, int]] = {
    "kill -9 of a worker": (_kill_worker, 10),
    "restart of a worker": (_stop_worker, 4),
    "kill -9 of a gateway": (_kill_gateway, 3),
    "SIGSTOP beyond the session timeout": (_make_a_zombie, 2),
    "third worker for seconds": (_add_a_worker, 1),
    "restart of the broker": (_restart_broker, 3),
    "restart of ClickHouse": (_restart_clickhouse, 2),
    "outage of the broker": (_broker_outage, 1),
    "outage of ClickHouse": (_clickhouse_outage, 1),
}


def schedule(seed: int) -> Iterator[tuple[str, float, random.Random]]:
    """Yield faults without an end: the name, the pause before it, and the choices within it."""
    choice = random.Random(seed)
    shares = [share for _, share in FAULTS.values()]
    while True:
        [name] = choice.choices(list(FAULTS), shares)
        yield name, choice.uniform(*_PAUSES_S), random.Random(choice.random())
