"""The pipeline in one process: answered means stored, what is full pushes back, a failure is told."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future

import orjson
import pytest

from phospho_cli.processes.pipeline import Pipeline, PipelineSettings
from phospho_schemas.ids import HybridClock
from phospho_schemas.records import Keyed
from phospho_store.errors import StatementRefused, StoreUnavailable
from phospho_store.registry.definition_sets import DefinitionRepository
from phospho_store.store import Store
from phospho_web.problems import Problem
from phospho_workers.detection.definitions import Snapshot
from phospho_workers.detection.loader import DefinitionCache
from phospho_workers.detection.stage import Detection
from phospho_workers.extraction.stage import Extraction
from phospho_workers.runtime.records import Output, Record


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


class PickyStore(Store):
    """Refuses whatever holds a poisoned row, with a code that is on no list; or every insert into a table."""

    def __init__(self, store: Store, refused_table: str = "") -> None:
        self._store = store
        self._refused_table = refused_table

    def insert(self, table: str, lines: bytes, token: str = "") -> None:
        if table == self._refused_table or (table == "task_rows" and b"poison" in lines):
            raise StatementRefused("SOMETHING_NEW", 99_999)
        self._store.insert(table, lines, token)


async def test_pipeline_dead_letters_a_refused_row_and_stores_the_others(store: Store) -> None:
    pipeline = pipeline_on(PickyStore(store))

    await asyncio.gather(
        pipeline.publish([log("poison", project_id="picky"), log("beside", project_id="picky")]),
        pipeline.publish([log("other", project_id="picky")]),
    )

    letters = store.rows("SELECT source_topic, payload FROM dead_letters WHERE reason = 'row_refused'")
    assert [letter["source_topic"] for letter in letters] == ["phospho.tasks"]
    assert orjson.loads(letters[0]["payload"])["task_id"] == "poison"
    rows = store.rows("SELECT task_id FROM task_rows WHERE project_id = 'picky' ORDER BY task_id")
    assert [row["task_id"] for row in rows] == ["beside", "other"]
    pipeline.close()


async def test_pipeline_answers_503_when_the_table_is_at_fault(store: Store) -> None:
    pipeline = pipeline_on(PickyStore(store, "task_rows"))
    before = store.rows("SELECT count() AS n FROM dead_letters")

    with pytest.raises(Problem) as caught:
        await pipeline.publish([log("fine", project_id="refusing")])

    assert (caught.value.status, caught.value.code) == (503, "not_stored")
    assert store.rows("SELECT count() AS n FROM dead_letters") == before
    pipeline.close()


async def test_pipeline_dead_letters_metadata_that_is_too_deep(store: Store) -> None:
    """As an event that no gateway has seen. 64 others in its batch have more keys than the column has paths."""
    deep: object = 1
    for _ in range(150):
        deep = [deep]
    wide = {f"key-{number}": number for number in range(80)}
    pipeline = pipeline_on(store)

    await asyncio.gather(
        pipeline.publish([log("deep", project_id="deep", metadata=wide | {"x": deep})]),
        *(pipeline.publish([log(f"w{number}", project_id="deep", metadata=wide)]) for number in range(64)),
    )

    letters = store.rows("SELECT reason, stage FROM dead_letters WHERE project_id = 'deep'")
    assert letters == [{"reason": "too_deep", "stage": "extraction"}]
    assert store.rows("SELECT uniqExact(task_id) AS n FROM task_rows WHERE project_id = 'deep'") == [{"n": 64}]
    pipeline.close()


async def test_pipeline_stores_nulls_among_nested_lists_in_no_time(store: Store) -> None:
    """ClickHouse alone would take 3 to the power of 40 steps, and all memory for the wide one."""
    value: object = 1
    for _ in range(40):
        value = [None, None, value]
    nulls = [None] * 1000
    pipeline = pipeline_on(store)

    events = [log("nulls", metadata={"x": value}), log("wide", metadata={"x": [*nulls, [*nulls, [*nulls, [1]]]]})]
    await asyncio.wait_for(pipeline.publish(events), 20)

    assert store.rows("SELECT count() AS n FROM task_rows WHERE task_id = 'nulls'") == [{"n": 1}]
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
        self.has_begun = asyncio.Event()
        self.may_go_on = asyncio.Event()
        self.loop = asyncio.get_running_loop()

    def __call__(self, batch: Sequence[Record]) -> Output:
        self.loop.call_soon_threadsafe(self.has_begun.set)
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


async def test_a_request_that_is_cancelled_before_its_batch_begins_stores_nothing(store: Store) -> None:
    extraction = SlowExtraction()
    pipeline = Pipeline(extraction, Detection(Snapshot), store, HybridClock(), PipelineSettings(max_waiting_bytes=200))
    pipeline.start()
    first = asyncio.create_task(pipeline.publish([log("stays")]))
    await extraction.has_begun.wait()
    second = asyncio.create_task(pipeline.publish([log("leaves")]))
    await asyncio.sleep(0)

    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    extraction.may_go_on.set()
    await first

    await pipeline.publish([log("behind it")])
    await pipeline.publish([log("fits-again" * 9)])
    rows = store.rows("SELECT task_id FROM task_rows WHERE task_id IN ('stays', 'leaves')")
    assert rows == [{"task_id": "stays"}]
    pipeline.close()


class CancelledAtTheLastMoment(Future[None]):
    """What an event loop may do to a request at any time: here, right before it is answered."""

    def set_result(self, result: None) -> None:
        self.cancel()
        super().set_result(result)

    def set_exception(self, exception: BaseException | None) -> None:
        self.cancel()
        super().set_exception(exception)


@pytest.mark.parametrize("is_away", [False, True])
async def test_a_request_that_is_cancelled_as_it_is_answered_harms_nobody(
    store: Store, monkeypatch: pytest.MonkeyPatch, is_away: bool
) -> None:
    monkeypatch.setattr("phospho_cli.processes.pipeline.Future", CancelledAtTheLastMoment)
    pipeline = pipeline_on(AwayStore() if is_away else store)

    for number in range(2):
        answers = await asyncio.wait_for(
            asyncio.gather(pipeline.publish([log(f"late-{number}")]), return_exceptions=True), 20
        )
        assert [type(answer) for answer in answers] == [Problem if is_away else type(None)]
    assert pipeline.check() is None
    pipeline.close()


class Panic(BaseException):
    """What the native code of a model raises; it is no Exception."""


class PanickingExtraction(Extraction):
    def __call__(self, batch: Sequence[Record]) -> Output:
        if any(b"panic" in record.value for record in batch):
            raise Panic("index out of bounds")
        return super().__call__(batch)


async def test_whatever_a_stage_raises_the_request_gets_a_503_and_the_others_are_stored(store: Store) -> None:
    pipeline = Pipeline(PanickingExtraction(), Detection(Snapshot), store, HybridClock())
    pipeline.start()

    answers = await asyncio.gather(
        *(pipeline.publish([log(task_id)]) for task_id in ("calm-1", "panic", "calm-2")), return_exceptions=True
    )

    assert [type(answer) for answer in answers] == [type(None), Problem, type(None)]
    assert store.rows("SELECT count() AS n FROM task_rows WHERE task_id LIKE 'calm-%'")[0]["n"] == 2
    assert pipeline.check() is None
    pipeline.close()


class FailingOnce(Store):
    """A store whose server goes away at the first insert into a table, and comes back."""

    def __init__(self, store: Store, table: str) -> None:
        super().__init__(_refuse)
        self._store = store
        self._failing = table

    def insert(self, table: str, lines: bytes, token: str = "") -> None:
        if table == self._failing:
            self._failing = ""
            raise StoreUnavailable("gone for a moment")
        self._store.insert(table, lines, token)


async def test_after_a_failure_between_two_inserts_there_is_a_task_without_its_analysis_and_a_retry_completes_it(
    store: Store,
) -> None:
    pipeline = pipeline_on(FailingOnce(store, "analysis_rows"))
    logs = [log("half", project_id="half-stored"), log("bad", project_id="half-stored", flag="maybe")]
    found = []

    for attempt in range(2):
        if attempt == 0:
            with pytest.raises(Problem):
                await pipeline.publish(logs)
        else:
            await pipeline.publish(logs)
        query = "SELECT count() AS n FROM {} WHERE project_id = 'half-stored'"
        found.append([store.rows(query.format(view))[0]["n"] for view in ("tasks", "analyses", "dead_letters")])

    assert found == [[1, 0, 0], [1, 1, 1]]
    pipeline.close()


async def test_while_the_definitions_can_not_be_read_nothing_is_stored_and_afterwards_all_is(store: Store) -> None:
    """To detect nothing is not to know that there is nothing to detect."""
    is_there = False

    class Away(DefinitionRepository):
        def revisions(self) -> tuple[int, ...]:
            if not is_there:
                raise StoreUnavailable("nobody listens")
            return super().revisions()

    cache = DefinitionCache(Away(store), refresh_interval_s=0.0)
    pipeline = Pipeline(Extraction(), Detection(cache.current), store, HybridClock())
    pipeline.start()

    with pytest.raises(Problem) as caught:
        await pipeline.publish([log("undefined")])
    stored = store.rows("SELECT count() AS n FROM task_rows WHERE task_id = 'undefined'")[0]["n"]
    is_there = True
    await pipeline.publish([log("undefined")])

    assert (caught.value.status, caught.value.code, stored) == (503, "not_stored", 0)
    assert store.rows("SELECT count() AS n FROM analyses WHERE task_id = 'undefined'")[0]["n"] == 1
    pipeline.close()


async def test_a_closed_pipeline_finishes_what_it_took_and_takes_no_more(store: Store) -> None:
    pipeline = pipeline_on(store)
    taken = asyncio.create_task(pipeline.publish([log("last")]))
    await asyncio.sleep(0)

    await asyncio.to_thread(pipeline.close)

    await taken
    with pytest.raises(Problem, match="stopping"):
        await pipeline.publish([log("too late")])
