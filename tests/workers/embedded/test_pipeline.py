"""The pipeline in one process: answered means stored, what is full pushes back, a failure is told."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import orjson
import pytest

from phospho_schemas.errors import Problem
from phospho_schemas.ids import HybridClock
from phospho_schemas.records import Keyed
from phospho_store.errors import StoreUnavailable
from phospho_store.store import Store
from phospho_workers.detection.definitions import Snapshot
from phospho_workers.detection.stage import Detection
from phospho_workers.embedded.pipeline import Pipeline, PipelineSettings
from phospho_workers.extraction.stage import Extraction


def log(task_id: str, **fields: object) -> Keyed:
    message = {"kind": "log", "project_id": "pipe", "task_id": task_id, "input": "hello", "revision": 7}
    return Keyed(b"k", orjson.dumps(message | fields))


def pipeline_on(store: Store, **settings: int) -> Pipeline:
    pipeline = Pipeline(Extraction(), Detection(Snapshot), store, HybridClock(), PipelineSettings(**settings))
    pipeline.start()
    return pipeline


class AwayStore(Store):
    """A store whose server is away."""

    def __init__(self) -> None:
        super().__init__(_refuse)


def _refuse() -> object:
    raise StoreUnavailable("nobody listens")


async def test_a_published_log_is_stored_with_its_analysis_when_publish_returns(store: Store) -> None:
    pipeline = pipeline_on(store)

    await pipeline.publish([log("one"), log("two")])

    for table in ("task_rows", "analysis_rows"):
        rows = store.rows(f"SELECT task_id FROM {table} FINAL WHERE project_id = 'pipe' ORDER BY task_id")
        assert [row["task_id"] for row in rows] == ["one", "two"]
    pipeline.close()


async def test_requests_that_come_together_are_all_answered(store: Store) -> None:
    pipeline = pipeline_on(store)

    await asyncio.gather(*(pipeline.publish([log(f"many-{number}")]) for number in range(200)))

    rows = store.rows("SELECT uniqExact(task_id) AS tasks FROM task_rows WHERE task_id LIKE 'many-%'")
    assert rows[0]["tasks"] == 200
    pipeline.close()


async def test_what_can_not_be_read_becomes_a_dead_letter_and_the_rest_is_stored(store: Store) -> None:
    pipeline = pipeline_on(store)

    await pipeline.publish([Keyed(b"k", b"not json"), log("good"), log("bad", flag="maybe")])

    letters = store.rows("SELECT reason, payload, project_id FROM dead_letters ORDER BY reason")
    assert [letter["reason"] for letter in letters] == ["invalid_field", "invalid_json"]
    assert letters[1]["payload"] == "not json"
    assert letters[0]["project_id"] == "pipe"
    assert store.rows("SELECT count() AS n FROM task_rows WHERE task_id = 'good'")[0]["n"] == 1
    pipeline.close()


async def test_a_store_that_is_away_is_a_503_that_says_to_come_again() -> None:
    pipeline = pipeline_on(AwayStore())

    with pytest.raises(Problem) as caught:
        await pipeline.publish([log("lost?")])

    assert (caught.value.status, caught.value.code) == (503, "not_stored")
    assert caught.value.retry_after_s
    pipeline.close()


class SlowExtraction(Extraction):
    """Waits for the test inside a batch."""

    def __init__(self) -> None:
        self.may_go_on = asyncio.Event()
        self.loop = asyncio.get_running_loop()

    def __call__(self, batch: Sequence) -> object:  # type: ignore[type-arg, override]
        asyncio.run_coroutine_threadsafe(self.may_go_on.wait(), self.loop).result(20)
        return super().__call__(batch)


async def test_what_waits_is_bounded_and_beyond_it_a_request_is_refused(store: Store) -> None:
    extraction = SlowExtraction()
    pipeline = Pipeline(extraction, Detection(Snapshot), store, HybridClock(), PipelineSettings(max_waiting_bytes=100))
    pipeline.start()
    first = asyncio.create_task(pipeline.publish([log("first")]))
    await asyncio.sleep(0)

    with pytest.raises(Problem) as caught:
        await pipeline.publish([log("second")])
    extraction.may_go_on.set()
    await first

    assert (caught.value.status, caught.value.code) == (503, "overloaded")
    await pipeline.publish([log("third")])
    pipeline.close()


async def test_a_closed_pipeline_finishes_what_it_took_and_takes_no_more(store: Store) -> None:
    pipeline = pipeline_on(store)
    taken = asyncio.create_task(pipeline.publish([log("last")]))
    await asyncio.sleep(0)

    await asyncio.to_thread(pipeline.close)

    await taken
    with pytest.raises(Problem, match="stopping"):
        await pipeline.publish([log("too late")])
