"""The sink on a backlog of tasks, against raw inserts of the same lines into a table of the same kind, in turns."""

from __future__ import annotations

from statistics import median
from typing import Any

from benchmarks.pipeline.cluster import Cluster
from benchmarks.pipeline.offsets import Backlog, Drained, Offsets
from benchmarks.processes import part
from benchmarks.sizes import Sizes, say
from phospho_schemas.topics import TASKS
from phospho_store.clickhouse import remote
from phospho_workers.sink.planner import TABLES

_TABLE = "task_rows"
_COPY = "bench_task_rows"
# What a program that may choose would insert at once.
_LARGE_BATCH_ROWS = 20_000


def measure(cluster: Cluster, sizes: Sizes) -> dict[str, Any]:
    """Return both rates and their ratio, for what phospho.tasks holds."""
    offsets = Offsets(cluster.kafka.bootstrap_servers)
    store = remote(cluster.clickhouse.url, size=1)
    store.command(f"CREATE TABLE {_COPY} AS {_TABLE}")
    backlog = offsets.backlog(TASKS.name)
    sink, raw, large = [], [], []
    reader = cluster.reader()

    def clear(table: str) -> None:
        store.command(f"TRUNCATE TABLE {table}")
        reader.wait_for_merges(sizes.max_wait_s)

    for _ in range(sizes.rounds):
        clear(_TABLE)
        drained, rows_an_insert = _drain(cluster, offsets, backlog, sizes.max_wait_s)
        sink.append(drained)
        clear(_COPY)
        raw.append(_insert(cluster, rows_an_insert))
        clear(_COPY)
        large.append(_insert(cluster, _LARGE_BATCH_ROWS))
        say(f"sink: {sink[-1].per_s:,.0f} rows/s, raw: {raw[-1].per_s:,.0f}, in large batches {large[-1].per_s:,.0f}")
    return _report(sizes, backlog, rows_an_insert, sink, raw, large)


def _report(
    sizes: Sizes, backlog: Backlog, rows_an_insert: int, sink: list[Drained], raw: list[Drained], large: list[Drained]
) -> dict[str, Any]:
    rate, raw_rate, large_rate = (median(one.per_s for one in side) for side in (sink, raw, large))
    core = median(one.per_cpu_s("sink", "clickhouse") for one in sink)
    raw_core = median(one.per_cpu_s("raw", "clickhouse") for one in raw)
    return {
        "rows": backlog.messages,
        "rounds": sizes.rounds,
        "rows_an_insert": rows_an_insert,
        "rows_per_s": rate,
        "raw_rows_per_s": raw_rate,
        "ratio": rate / raw_rate,
        "raw_rows_per_s_in_large_batches": large_rate,
        "ratio_to_large_batches": rate / large_rate,
        "rows_per_cpu_s_with_clickhouse": core,
        "raw_rows_per_cpu_s_with_clickhouse": raw_core,
        "ratio_per_cpu_s": core / raw_core,
        "rows_per_cpu_s_of_the_sink": median(one.per_cpu_s("sink") for one in sink),
        "every_round": {
            "sink": [one.per_s for one in sink],
            "raw": [one.per_s for one in raw],
            "raw_in_large_batches": [one.per_s for one in large],
        },
    }


def _drain(cluster: Cluster, offsets: Offsets, backlog: Backlog, timeout_s: float) -> tuple[Drained, int]:
    for topic in TABLES:
        if topic != TASKS:
            offsets.empty(topic.name)
    offsets.set_back("phospho-sink", [offsets.backlog(topic.name) for topic in TABLES])
    with cluster.sink() as (sink, rows_an_insert):

        def cpu_s() -> dict[str, float]:
            return {"sink": sink.cpu_s()} | cluster.servers_cpu_s()

        # From the assignment on: the first of its batches may be a quarter of the backlog.
        drained = offsets.watch("phospho-sink", backlog, cpu_s, timeout_s, from_first_commit=False)
        return drained, round(rows_an_insert())


def _insert(cluster: Cluster, batch_rows: int) -> Drained:
    options = ["--kafka", cluster.kafka.bootstrap_servers, "--clickhouse", cluster.clickhouse.url]
    options += ["--topic", TASKS.name, "--table", _COPY, "--batch-rows", str(batch_rows)]
    with part("raw_insert", cluster.folder / "raw.log", *options) as raw:
        raw.tell_to_go()
        before_s = cluster.servers_cpu_s()
        result = raw.result()
        after_s = cluster.servers_cpu_s()
    used_s = {name: after_s[name] - before_s[name] for name in after_s}
    return Drained(result["rows"], result["wall_s"], {"raw": result["cpu_s"]} | used_s)
