"""Labels arrive while traffic runs: the classifier is used within seconds, and no event is lost or doubled."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import orjson
import pytest

from fixtures.labels import new_label
from phospho_cli.processes.embedded.pipeline import Pipeline
from phospho_schemas.ids import HybridClock
from phospho_schemas.topics import Keyed
from phospho_store.annotations.labels import LabelRepository
from phospho_store.registry.definition_sets import DefinitionRepository
from phospho_store.registry.registry import Registry
from phospho_store.store import Store
from phospho_workers.detection.loader import DefinitionCache
from phospho_workers.detection.stage import Detection
from phospho_workers.extraction.stage import Extraction
from phospho_workers.jobs.registry import running_jobs
from phospho_workers.jobs.settings import JobSettings
from store.facts import insert, task, view
from workers.detection.tasks import keywords, semantic

_LABELS = 200
SHOWN = "please bring the blue umbrella number {}"
OTHER = "what will the weather be on day {}"
PROBE = "is my umbrella here"


@pytest.fixture
def pipeline(store: Store) -> Iterator[Pipeline]:
    """The pipeline of `phospho up`, with the job that learns beside it."""
    clock = HybridClock()
    cache = DefinitionCache(DefinitionRepository(store, clock), refresh_interval_s=0.0)
    pipeline = Pipeline(Extraction(), Detection(cache.current), store, clock)
    pipeline.start()
    with running_jobs("learning", store, clock, JobSettings()):
        yield pipeline
    pipeline.close()


def log(project_id: str, number: int) -> Keyed:
    message = {
        "kind": "log",
        "project_id": project_id,
        "task_id": f"live-{number}",
        "input": f"{PROBE}? I want a refund.",
    }
    return Keyed(b"k", orjson.dumps(message))


async def test_classifier_of_200_labels_is_used_while_traffic_runs(
    store: Store, registry: Registry, project_id: str, pipeline: Pipeline
) -> None:
    registry.save_definition(semantic("umbrella", "The user wants a zorb", project_id=project_id, scope="input"))
    registry.save_definition(keywords("refund", "refund", project_id=project_id))
    texts = [(SHOWN if number % 2 else OTHER).format(number) for number in range(_LABELS)]
    insert(store, "task_rows", *(task(project_id, f"l{n}", input=text) for n, text in enumerate(texts)))
    values = ["confirmed" if number % 2 else "rejected" for number in range(_LABELS)]
    labels = [new_label(project_id, "umbrella", f"l{n}", label) for n, label in enumerate(values)]

    await pipeline.publish([log(project_id, 0)])
    await asyncio.to_thread(LabelRepository(store).save_labels, labels)
    labelled_s, logged = time.monotonic(), 1
    while not used(store, project_id):
        await pipeline.publish([log(project_id, logged)])
        logged += 1
    print(f"{_LABELS} labels: {time.monotonic() - labelled_s:.2f} s until the classifier was used; {logged} tasks")

    found = [row for row in view(store, "events", project_id) if row["name"] == "refund"]
    assert sorted(row["task_id"] for row in found) == sorted(f"live-{number}" for number in range(logged))
    learnt = [row for row in view(store, "events", project_id) if row["classifier_version"] > 0]
    assert len({row["task_id"] for row in learnt}) == len(learnt)


def used(store: Store, project_id: str) -> bool:
    """Tell whether an event was found by a classifier."""
    query = (
        "SELECT count() AS found FROM events"
        " WHERE project_id = {p:String} AND classifier_version > 0 AND engine != 'person'"
    )
    return bool(store.rows(query, {"p": project_id})[0]["found"])
