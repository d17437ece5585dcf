"""Logs through the gateway, Kafka and the three workers until they can be queried, and how fresh they are then."""

from __future__ import annotations

from typing import Any

from benchmarks.pipeline.cluster import Cluster
from benchmarks.pipeline.freshness import Probes, summary
from benchmarks.processes import BenchmarkFailed, Process, part
from benchmarks.sizes import BATCH_LOGS, KEY, Sizes, say

# What a request holds in the paced load, where a batch of 500 would be a burst.
_PACED_BATCH_LOGS = 50


def measure(cluster: Cluster, sizes: Sizes) -> dict[str, Any]:
    """Return the all-in rates, and under `freshness` the delays at half of that rate."""
    with cluster.everything() as (processes, port):
        reader = cluster.reader()
        with _load(cluster, port, "warm", sizes.warm_up_tasks) as client:
            client.tell_to_go()
            client.result()
        reader.wait_for_tasks(sizes.warm_up_tasks, sizes.max_wait_s)
        before = _cpu_s(cluster, processes)
        with _load(cluster, port, "main", sizes.all_in_tasks) as client:
            client.tell_to_go()
            loaded = client.result()
        ended_s = reader.wait_for_tasks(sizes.warm_up_tasks + sizes.all_in_tasks, sizes.max_wait_s)
        after = _cpu_s(cluster, processes)
        all_in = _all_in(sizes.all_in_tasks, loaded, ended_s, {name: after[name] - before[name] for name in after})
        return all_in | {"freshness": _freshness(cluster, port, sizes, all_in["tasks_per_s"] / 2)}


def _all_in(tasks: int, loaded: dict[str, Any], ended_s: float, used_s: dict[str, float]) -> dict[str, Any]:
    if loaded["accepted"] != tasks:
        raise BenchmarkFailed(f"{loaded['accepted']} of {tasks} logs were accepted")
    wall_s = ended_s - loaded["began_s"]
    ours_s = sum(used for name, used in used_s.items() if name not in ("kafka", "clickhouse"))
    say(f"on Kafka: {tasks / wall_s:,.0f} tasks/s by the wall, {tasks / ours_s:,.0f} a core of our own processes")
    return {
        "tasks": tasks,
        "batch_logs": BATCH_LOGS,
        "wall_s": wall_s,
        "cpu_s": used_s | {"load client": loaded["cpu_s"]},
        "tasks_per_s": tasks / wall_s,
        "tasks_per_s_per_core_of_ours": tasks / ours_s,
        "tasks_per_s_per_core_with_clickhouse": tasks / (ours_s + used_s["clickhouse"]),
        "tasks_per_s_per_core_with_kafka_and_clickhouse": tasks / sum(used_s.values()),
    }


def _freshness(cluster: Cluster, port: int, sizes: Sizes, rate: float) -> dict[str, Any]:
    """Send single tasks in the middle of a steady load, and see when a reader sees them."""
    probes = Probes(cluster.reader(), port)
    # The load begins before the first probe and ends after the last one has been seen.
    seconds = probes.duration_s(sizes.probes) + 6.0
    count = int(rate * seconds)
    say(f"freshness: {sizes.probes} probes in a load of {rate:,.0f} tasks/s")
    with _load(cluster, port, "paced", count, rate=rate, batch=_PACED_BATCH_LOGS) as client:
        client.tell_to_go()
        delays_s = probes.run(sizes.probes)
        loaded = client.result()
    return summary(delays_s) | {
        "load_tasks_per_s": count / (loaded["ended_s"] - loaded["began_s"]),
        "wanted_load_tasks_per_s": rate,
    }


def _load(cluster: Cluster, port: int, run: str, count: int, rate: float = 0.0, batch: int = BATCH_LOGS) -> Process:
    options = ["--port", str(port), "--key", KEY, "--run", run, "--count", str(count)]
    options += ["--batch", str(batch), "--rate", str(rate)]
    return part("load", cluster.folder / "load.log", *options)


def _cpu_s(cluster: Cluster, processes: Any) -> dict[str, float]:
    return {process.name: process.cpu_s() for process in processes} | cluster.servers_cpu_s()
