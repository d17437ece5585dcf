"""Extraction on a backlog, against a raw loop over the same bytes on the same broker, in turns."""

from __future__ import annotations

from statistics import median
from typing import Any

from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from benchmarks.conversations import raw_messages
from benchmarks.pipeline.cluster import Cluster
from benchmarks.pipeline.offsets import Backlog, Drained, Offsets
from benchmarks.processes import part
from benchmarks.sizes import PROJECT, Sizes, say
from phospho_schemas.topics import FEEDBACK, RAW_LOGS, TASKS

_COPY = "bench.copy"


def measure(cluster: Cluster, sizes: Sizes) -> dict[str, Any]:
    """Return both rates and their ratio. Afterwards phospho.tasks holds the backlog's tasks, once each."""
    offsets = Offsets(cluster.kafka.bootstrap_servers)
    _create_copy(cluster)
    backlog = offsets.fill(RAW_LOGS.name, raw_messages(sizes.backlog_messages, "backlog", PROJECT))
    worker, raw = [], []
    for _ in range(sizes.rounds):
        worker.append(_drain(cluster, offsets, backlog, sizes.max_wait_s))
        raw.append(_copy(cluster, offsets, backlog))
        say(f"extraction: {worker[-1].per_s:,.0f} messages/s, raw loop: {raw[-1].per_s:,.0f}")
    rate, raw_rate = median(one.per_s for one in worker), median(one.per_s for one in raw)
    core, raw_core = median(one.per_cpu_s("extraction") for one in worker), median(one.per_cpu_s("raw") for one in raw)
    return {
        "messages": backlog.messages,
        "rounds": sizes.rounds,
        "messages_per_s": rate,
        "raw_messages_per_s": raw_rate,
        "ratio": rate / raw_rate,
        "messages_per_cpu_s": core,
        "raw_messages_per_cpu_s": raw_core,
        "ratio_per_cpu_s": core / raw_core,
        "every_round": {"extraction": [one.per_s for one in worker], "raw": [one.per_s for one in raw]},
    }


def _drain(cluster: Cluster, offsets: Offsets, backlog: Backlog, timeout_s: float) -> Drained:
    for topic in (TASKS, FEEDBACK):
        offsets.empty(topic.name)
    offsets.set_back("phospho-extraction", [backlog])
    with cluster.worker("extraction") as worker:
        return offsets.watch("phospho-extraction", backlog, lambda: {"extraction": worker.cpu_s()}, timeout_s)


def _copy(cluster: Cluster, offsets: Offsets, backlog: Backlog) -> Drained:
    offsets.empty(_COPY)
    options = ["--kafka", cluster.kafka.bootstrap_servers, "--source", backlog.topic, "--target", _COPY]
    with part("raw_kafka", cluster.folder / "raw.log", *options, "--group", "bench-copy") as raw:
        raw.tell_to_go()
        result = raw.result()
    return Drained(result["messages"], result["wall_s"], {"raw": result["cpu_s"]})


def _create_copy(cluster: Cluster) -> None:
    """Make a topic like phospho.tasks for the raw loop to write to."""
    admin = AdminClient({"bootstrap.servers": cluster.kafka.bootstrap_servers})
    wanted = NewTopic(_COPY, TASKS.partitions, 1, config=TASKS.config())
    for future in admin.create_topics([wanted], operation_timeout=30).values():
        future.result(30)
