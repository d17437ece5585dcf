"""The table that `make bench` prints: figures, peers measured beside them, ratios and commands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

_BENCH = "make bench"


class Row(NamedTuple):
    """A figure, where there is one what a raw program did in the same run, and how to measure it alone."""

    name: str
    value: float
    peer: float | None = None
    command: str = _BENCH


def table(report: Mapping[str, Any]) -> str:
    """Return the figures of a report as lines of text."""
    lines = [f"{'':<58}{'measured':>12}{'peer':>12}{'ratio':>7}  command"]
    for row in _rows(report):
        peer, ratio = ("", "") if row.peer is None else (f"{row.peer:,.0f}", f"{row.value / row.peer:.2f}")
        value = f"{row.value:,.0f}" if row.value >= 100 else f"{row.value:,.2f}"
        lines.append(f"{row.name:<58}{value:>12}{peer:>12}{ratio:>7}  {row.command}")
    return "\n".join(lines)


def _rows(report: Mapping[str, Any]) -> Iterator[Row]:
    alone, on_kafka = report["one_process"], report["on_kafka"]
    yield Row("one process, batches of 500, tasks/s a core", alone["tasks_per_s_per_core"])
    for run in report["single_tasks"]:
        name = f"one process, one by one on {run['connections']} connection(s)"
        yield Row(f"{name}, tasks/s a core", run["tasks_per_s_per_core"], None, "python -m benchmarks.single_tasks")
    yield Row("on Kafka, batches of 500, tasks/s a core of ours", on_kafka["tasks_per_s_per_core_of_ours"])
    yield Row("on Kafka, freshness at half load, p50 in s", on_kafka["freshness"]["p50_s"])
    yield Row("on Kafka, freshness at half load, p99 in s", on_kafka["freshness"]["p99_s"])
    extraction, sink = report["extraction"], report["sink"]
    yield Row("extraction, messages/s; a raw copy", extraction["messages_per_s"], extraction["raw_messages_per_s"])
    yield Row("sink, rows/s; raw inserts of equal batches", sink["rows_per_s"], sink["raw_rows_per_s"])
