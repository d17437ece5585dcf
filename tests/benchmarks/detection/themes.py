"""
`python -m benchmarks.detection.themes --tasks 1000000`: finding themes in many tasks, search by meaning. Prints JSON.

The texts are pairs of inputs of the conversations, all different. `discovery` are two steps of the job: the first model
of a project and the next one, in seconds of CPU of the process with its store, and the most memory that it held.
`recall_at_20` is against the exact ranking of all texts by their embeddings. `seconds` are of whole searches,
`cpu_seconds` the mean of all threads, `bytes_per_task` of the codes on disk.
"""

from __future__ import annotations

import argparse
import random
import resource
import tempfile
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import orjson

from benchmarks.conversations import logs, source_name
from phospho_dashboard.analytics.similar import SIMILAR_TASKS, MeaningReader, SimilarTasks
from phospho_dashboard.queries.filters import Filters, Scope
from phospho_dashboard.queries.periods import Span
from phospho_schemas.ids import HybridClock
from phospho_store.migrations import migrate
from phospho_store.registry.definition_sets import DefinitionRepository
from phospho_store.registry.themes import ThemeRepository
from phospho_store.store import Store, embedded
from phospho_workers.detection.text.embedding import Vectors, unit
from phospho_workers.detection.text.meaning import codes, codes_of, similarities
from phospho_workers.detection.text.reading import whole
from phospho_workers.jobs.themes.discovery_job import ThemeDiscoveryJob

_PROJECT = "bench"
_INPUTS = 20_000
_TASKS_AT_ONCE = 20_000
_QUERIES = 50
_ROW = {"project_id": _PROJECT, "revision": 1, "session_id": "s", "created_at": "2026-01-01T00:00:00.000Z"}
_BYTES = (
    "SELECT sum(column_data_compressed_bytes) AS bytes FROM system.parts_columns WHERE active AND column = 'meaning'"
)
# Copies have bits by chance: they cost a search what tasks do, and are in no result.
_COPIED_TASKS = """
INSERT INTO task_rows (project_id, task_id, revision, session_id, created_at, received_at, input)
SELECT project_id, concat(lower(hex(cityHash64(task_id, {copy:UInt32}))), '-copy'), revision, session_id, created_at,
    received_at, input
FROM task_rows WHERE NOT endsWith(task_id, '-copy')
"""
_COPIED_ANALYSES = """
INSERT INTO analysis_rows (project_id, task_id, revision, session_id, created_at, meaning)
SELECT project_id, concat(lower(hex(cityHash64(task_id, {copy:UInt32}))), '-copy'), revision, session_id, created_at,
    (rand64(1), rand64(2), rand64(3), rand64(4))
FROM analysis_rows WHERE NOT endsWith(task_id, '-copy')
"""


def main() -> None:
    """Fill a store, search, and print the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.detection.themes", description=main.__doc__)
    parser.add_argument("--tasks", type=int, default=1_000_000, help="how many (default: 1,000,000)")
    parser.add_argument(
        "--copies", type=int, default=0, help="so many copies of all tasks more, with other ids and bits"
    )
    parser.add_argument("--folder", help="an empty folder for the store (default: a temporary one)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="phospho-bench-", dir=options.folder) as folder:
        store = embedded(folder)
        list(migrate(store))
        print(orjson.dumps(_measured(store, options.tasks, options.copies), option=orjson.OPT_INDENT_2).decode())
        store.close()


def _measured(store: Store, tasks: int, copies: int) -> dict[str, Any]:
    inputs = sorted({str(log["input"]) for log in logs(_INPUTS, "meaning")})
    queries = random.Random(1).sample(inputs, _QUERIES)
    exact = _Exact(whole(queries))
    for first, texts in _batches(inputs, tasks):
        rows = whole(texts)
        exact.add(first, rows)
        _insert(store, first, texts, codes_of(rows))
    discovery = [_discovery(store) for _ in range(2)]
    for copy in range(copies):
        for sql in (_COPIED_TASKS, _COPIED_ANALYSES):
            store.command(sql, {"copy": copy})
    search = SimilarTasks(store, MeaningReader(lambda text: codes([text])[0], similarities))
    scope = Scope(_PROJECT, Filters(), Span())
    search.like_text(scope, queries[0])
    seconds, cpu_s, recalls = [], 0.0, []
    for query, best in zip(queries, exact.best(), strict=True):
        started_s, cpu_started_s = time.perf_counter(), time.process_time()
        task_ids = {task["task_id"] for task in search.like_text(scope, query)}
        seconds.append(time.perf_counter() - started_s)
        cpu_s += time.process_time() - cpu_started_s
        recalls.append(len(task_ids & best) / SIMILAR_TASKS)
    return {
        "conversations": source_name(),
        "tasks": tasks * (1 + copies),
        "discovery": discovery,
        "recall_at_20": round(sum(recalls) / len(recalls), 4),
        "seconds": {f"p{q}": round(float(np.quantile(seconds, q / 100)), 3) for q in (50, 95)},
        "cpu_seconds": round(cpu_s / _QUERIES, 3),
        "bytes_per_task": round(int(store.rows(_BYTES)[0]["bytes"]) / (tasks * (1 + copies)), 1),
    }


def _discovery(store: Store) -> dict[str, Any]:
    """Find the themes of the project, as the job does when a person asks for it."""
    ThemeRepository(store).request_refresh(_PROJECT, "benchmark")
    started_s = time.process_time()
    assert ThemeDiscoveryJob(store, DefinitionRepository(store, HybridClock())).step()
    used_s = time.process_time() - started_s
    themes = store.rows("SELECT count() AS themes FROM themes")[0]["themes"]
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"cpu_seconds": round(used_s, 1), "themes": themes, "peak_memory_mb": round(peak_mb)}


def _batches(inputs: Sequence[str], tasks: int) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of the first task of each batch, and texts that are pairs of inputs, no two the same."""
    for first in range(0, tasks, _TASKS_AT_ONCE):
        numbers = range(first, min(first + _TASKS_AT_ONCE, tasks))
        yield first, [f"{inputs[n % len(inputs)]} {inputs[(n * 7 + n // len(inputs)) % len(inputs)]}" for n in numbers]


def _task_id(number: int) -> str:
    # Spread over the table, as ids of clients are.
    return f"{number * 2_654_435_761 % 2**32:08x}-{number:08d}-4000-8000-000000000000"


def _insert(store: Store, first: int, texts: Sequence[str], meanings: Sequence[Sequence[int]]) -> None:
    tasks = [_ROW | {"task_id": _task_id(number), "input": text} for number, text in enumerate(texts, first)]
    analyses = [_ROW | {"task_id": _task_id(number), "meaning": code} for number, code in enumerate(meanings, first)]
    received = {"received_at": _ROW["created_at"]}
    store.insert("task_rows", b"\n".join(orjson.dumps(task | received) for task in tasks))
    store.insert("analysis_rows", b"\n".join(map(orjson.dumps, analyses)))


class _Exact:
    """The nearest texts of queries among all that were added."""

    def __init__(self, queries: Vectors) -> None:
        self._queries = unit(queries).astype(np.float32)
        self._scores = np.full((len(queries), SIMILAR_TASKS), -2.0, dtype=np.float32)
        self._numbers = np.zeros((len(queries), SIMILAR_TASKS), dtype=np.int64)

    def add(self, first: int, rows: Vectors) -> None:
        """Take the directions of the texts from number `first` on."""
        scores = np.hstack([self._scores, self._queries @ unit(rows).astype(np.float32).T])
        numbers = np.hstack([self._numbers, np.tile(np.arange(first, first + len(rows)), (len(scores), 1))])
        best = np.argpartition(-scores, SIMILAR_TASKS, axis=1)[:, :SIMILAR_TASKS]
        self._scores = np.take_along_axis(scores, best, axis=1)
        self._numbers = np.take_along_axis(numbers, best, axis=1)

    def best(self) -> list[set[str]]:
        """Return the ids of the nearest tasks of each query."""
        return [{_task_id(number) for number in row} for row in self._numbers.tolist()]


if __name__ == "__main__":
    main()
