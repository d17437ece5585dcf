"""`python -m benchmarks`: measure everything, and write build/bench.json."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import orjson

from benchmarks import single_tasks
from benchmarks.conversations import REPOSITORY, source_name
from benchmarks.machine import commit, machine
from benchmarks.pipeline import extraction_ratio, on_kafka, one_process, sink_ratio
from benchmarks.pipeline.cluster import running_cluster
from benchmarks.sizes import FULL, QUICK, Sizes, say
from benchmarks.table import table


def main() -> None:
    """Measure, write the file, and print a table of the figures with those of their peers."""
    options = _options()
    sizes = QUICK if options.quick else FULL
    with tempfile.TemporaryDirectory(prefix="phospho-bench-") as folder:
        report = measured(Path(folder), sizes)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    say(f"written: {options.output}")
    print(f"commit {report['commit']}")
    print(table(report))


def measured(folder: Path, sizes: Sizes) -> dict[str, Any]:
    """Return the whole report; the figures that count come first."""
    alone = one_process.measure(folder / "up", sizes)
    singles = single_tasks.measure(folder, sizes.single_runs)
    with running_cluster(folder / "cluster") as cluster:
        say("Kafka and ClickHouse are up")
        on_servers = on_kafka.measure(cluster, sizes)
        extraction = extraction_ratio.measure(cluster, sizes)
        sink = sink_ratio.measure(cluster, sizes)
    return {
        "all_in_tasks_per_s_per_core": alone["tasks_per_s_per_core"],
        "extraction_ratio": extraction["ratio"],
        "sink_ratio": sink["ratio"],
        "freshness_p50_s": on_servers["freshness"]["p50_s"],
        "freshness_p99_s": on_servers["freshness"]["p99_s"],
        "commit": commit(),
        "machine": machine(),
        "conversations": source_name(),
        "one_process": alone,
        "single_tasks": singles,
        "on_kafka": on_servers,
        "extraction": extraction,
        "sink": sink,
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=main.__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke run: every part, too short to be believed")
    parser.add_argument("--output", type=Path, default=REPOSITORY / "build" / "bench.json")
    return parser.parse_args()


if __name__ == "__main__":
    main()
