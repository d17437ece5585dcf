"""
How fast is detection on one core, stage by stage? Prints JSON.

    PYTHONPATH=schemas:workers python tests/benchmarks/detection.py --data ../shared/data/sgd-dev.jsonl.gz

Every stage gets the same batches, one after the other, in one thread: the process pins itself to one core where the
system lets it, BLAS and the tokenizer are held to one thread. Each figure is the best of `--rounds`, after a first
round that loads the models and is not counted. `analyse` is all of it, with equal texts read once a batch.
"""

from __future__ import annotations

import argparse
import gzip
import os
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

# Before numpy and the tokenizer are loaded, which is when they read them.
os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}

import orjson
import yaml

from phospho_schemas.messages import EventDefinition
from phospho_workers.detection.definitions import CompiledDefinitions, compile_definitions
from phospho_workers.detection.detect import analyse
from phospho_workers.detection.language import languages
from phospho_workers.detection.sentiment import sentiments

DEFINITIONS = Path(__file__).parents[1] / "data" / "definitions.yaml"
PROJECT = "benchmark"

Batch = list[dict[str, Any]]


def main() -> None:
    options = _options()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    definitions = _definitions()
    batches = list(_batches(options.data, options.batch))
    tasks = sum(map(len, batches))
    report = {
        name: round(tasks / min(_seconds(stage, batches) for _ in range(options.rounds)))
        for name, stage in _stages(definitions).items()
        if _seconds(stage, batches)
    }
    print(
        orjson.dumps(
            {"tasks": tasks, "batch": options.batch, "tasks_per_s": report}, option=orjson.OPT_INDENT_2
        ).decode()
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure detection on one core.")
    parser.add_argument("--data", type=Path, required=True, help="logs, one JSON object a line, gzip")
    parser.add_argument("--batch", type=int, default=1000, help="tasks a batch (default: 1000)")
    parser.add_argument("--rounds", type=int, default=3, help="counted rounds (default: 3)")
    return parser.parse_args()


def _definitions() -> list[EventDefinition]:
    now = datetime.now(UTC)
    return [
        EventDefinition(project_id=PROJECT, created_at=now, **one)
        for one in yaml.safe_load(DEFINITIONS.read_text())["definitions"]
    ]


def _batches(path: Path, size: int) -> Iterator[Batch]:
    with gzip.open(path) as file:
        tasks = [_task(orjson.loads(line)) for line in file]
    for begin in range(0, len(tasks), size):
        yield tasks[begin : begin + size]


def _task(log: dict[str, Any]) -> dict[str, Any]:
    known = {"project_id": PROJECT, "revision": 1, "created_at": "2026-01-01T00:00:00.000Z"}
    return known | {name: log[name] for name in ("task_id", "session_id", "input", "output")}


def _stages(definitions: Sequence[EventDefinition]) -> dict[str, Callable[[Batch], object]]:
    def engine(name: str) -> Callable[[Batch], object]:
        compiled = compile_definitions([one for one in definitions if one.engine == name])
        return lambda batch: _find(compiled, batch)

    everything = {PROJECT: compile_definitions(definitions)}
    return {
        "language": lambda batch: languages([task["input"] for task in batch]),
        "sentiment": lambda batch: sentiments([task["input"] for task in batch], ["en"] * len(batch)),
        "keyword": engine("keyword"),
        "regex": engine("regex"),
        "semantic": engine("semantic"),
        "analyse": lambda batch: analyse(batch, everything),
        "analyse_and_encode": lambda batch: [orjson.dumps(row) for row in analyse(batch, everything)],
    }


def _find(compiled: CompiledDefinitions, batch: Batch) -> None:
    compiled.find([task["input"] for task in batch], "input")
    compiled.find([task["output"] for task in batch], "output")


def _seconds(stage: Callable[[Batch], object], batches: Sequence[Batch]) -> float:
    started = time.perf_counter()
    for batch in batches:
        stage(batch)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
