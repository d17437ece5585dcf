"""The table of figures that `make bench` prints."""

from __future__ import annotations

from benchmarks.table import table

_REPORT = {
    "one_process": {"tasks_per_s_per_core": 2812.0},
    "single_tasks": [{"connections": 1, "tasks_per_s_per_core": 23.0}],
    "on_kafka": {"tasks_per_s_per_core_of_ours": 3448.0, "freshness": {"p50_s": 0.85, "p99_s": 1.5}},
    "extraction": {"messages_per_s": 30_000.0, "raw_messages_per_s": 120_000.0},
    "sink": {"rows_per_s": 6_800.0, "raw_rows_per_s": 8_000.0},
}


def test_table_has_peers_and_ratios_of_the_same_run() -> None:
    header, *lines = table(_REPORT).splitlines()
    extraction = next(line for line in lines if line.startswith("extraction"))
    assert extraction.split()[-5:] == ["30,000", "120,000", "0.25", "make", "bench"]
    freshness = next(line for line in lines if "p50" in line)
    assert freshness.split()[-3:] == ["0.85", "make", "bench"]
    assert header.split() == ["measured", "peer", "ratio", "command"]
    assert len(lines) == 7
