"""Pipeline in one process: answers when rows are stored, refuses beyond its bound, reports failures."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Future

import orjson
import pytest

from phospho_cli.processes.embedded.pipeline import Pipeline, PipelineSettings
from phospho_schemas.ids import HybridClock
from phospho_schemas.times import utc_now, utc_text
from phospho_schemas.topics import Keyed
from phospho_store.errors import StatementRefused, StoreUnavailable
from phospho_store.registry.definition_sets import DefinitionRepository
from phospho_store.store import Store
from phospho_web.problems import Problem
from phospho_web.publisher import ReceiptsUnpublished
from phospho_workers.detection.definitions import Snapshot
from phospho_workers.detection.loader import DefinitionCache
from phospho_workers.detection.stage import Detection
from phospho_workers.extraction.stage import Extraction
from phospho_workers.runtime.records import Record, StageOutput
from store.facts import insert, task


def log(task_id: str, **fields: object) -> Keyed:
    message = {"kind": "log", "project_id": "pipe", "task_id": task_id, "input": "hello", "revision": 7}
    return Keyed(b"k", orjson.dumps(message | fields))


def pipeline_on(store: Store, extraction: Extraction | None = None, **settings: int) -> Pipeline:
    stages = (extraction or Extraction(), Detection(Snapshot))
    pipeline = Pipeline(*stages, store, HybridClock(), settings=PipelineSettings(**settings))
    pipeline.start()
    return pipeline


class UnavailableStore(Store):
    """A store whose server is unavailable."""

    def __init__(self) -> None:
        super().__init__(_refuse)


def _refuse() -> object:
    raise StoreUnavailable("nobody listens")


async def test_publish_returns_when_log_and_analysis_are_stored(store: Store) -> None:
    pipeline = pipeline_on(store)

    await pipeline.publish([log("one"), log("two")])

    for table in ("task_rows", "analysis_rows"):
        rows = store.rows(f"SELECT task_id FROM {table} FINAL WHERE project_id = 'pipe' ORDER BY task_id")
        assert [row["task_id"] for row in rows] == ["one", "two"]
    pipeline.close()


async def test_publish_answers_every_concurrent_request(store: Store) -> None:
    pipeline = pipeline_on(store)

    await asyncio.gather(*(pipeline.publish([log(f"many-{number}")]) for number in range(200)))

    rows = store.rows("SELECT uniqExact(task_id) AS tasks FROM task_rows WHERE task_id LIKE 'many-%'")
    assert rows[0]["tasks"] == 200
    pipeline.close()


async def test_publish_dead_letters_bad_logs_and_stores_the_others(store: Store) -> None:
    pipeline = pipeline_on(store)

    await pipeline.publish([Keyed(b"k", b"not json"), log("good"), log("bad", flag="maybe")])

    letters = store.rows("SELECT reason, payload, project_id FROM dead_letters ORDER BY reason")
    assert [letter["reason"] for letter in letters] == ["invalid_field", "invalid_json"]
    assert letters[1]["payload"] == "not json"
    assert letters[0]["project_id"] == "pipe"
    assert store.rows("SELECT count() AS n FROM task_rows WHERE task_id = 'good'")[0]["n"] == 1
    pipeline.close()


class PickyStore(Store):
    """A store that refuses poisoned rows with an unknown code, or every insert into a table."""

    def __init__(self, store: Store, refused_table: str = "") -> None:
        super().__init__(_refuse)
        self._store = store
        self._refused_table = refused_table

    def rows(self, sql: str, parameters: Mapping[str, object] | None = None) -> list[dict[str, object]]:
        return self._store.rows(sql, parameters)

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


async def test_publish_raises_503_when_the_table_is_at_fault(store: Store) -> None:
    pipeline = pipeline_on(PickyStore(store, "task_rows"))
    before = store.rows("SELECT count() AS n FROM dead_letters")

    with pytest.raises(Problem) as caught:
        await pipeline.publish([log("fine", project_id="refusing")])

    assert (caught.value.status, caught.value.code) == (503, "not_stored")
    assert store.rows("SELECT count() AS n FROM dead_letters") == before
    pipeline.close()


async def test_pipeline_dead_letters_metadata_that_is_too_deep(store: Store) -> None:
    """No gateway has checked it. 64 other logs of its batch have more keys than the column has paths."""
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


async def test_pipeline_stores_nulls_among_nested_lists_quickly(store: Store) -> None:
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


async def test_publish_raises_503_with_retry_after_in_an_outage() -> None:
    pipeline = pipeline_on(UnavailableStore())

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

    def __call__(self, batch: Sequence[Record]) -> StageOutput:
        self.loop.call_soon_threadsafe(self.has_begun.set)
        asyncio.run_coroutine_threadsafe(self.may_go_on.wait(), self.loop).result(20)
        return super().__call__(batch)


async def test_publish_refuses_beyond_the_waiting_bytes(store: Store) -> None:
    extraction = SlowExtraction()
    pipeline = Pipeline(
        extraction, Detection(Snapshot), store, HybridClock(), settings=PipelineSettings(max_waiting_bytes=100)
    )
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


async def test_publish_refuses_beyond_its_bound_while_clickhouse_is_slow(store: Store) -> None:
    """ClickHouse delays each insert into a table that has too many parts."""
    insert(store, "task_rows", task("pipe", "earlier"))
    limits = {"parts_to_delay_insert": 1, "min_delay_to_insert_ms": 3_000, "max_delay_to_insert": 3}
    settings = ", ".join(f"{name} = {value}" for name, value in limits.items())
    store.command(f"ALTER TABLE task_rows MODIFY SETTING {settings}")
    pipeline = pipeline_on(store, max_waiting_bytes=100)
    try:
        first = asyncio.create_task(pipeline.publish([log("slow")]))
        await asyncio.sleep(0)
        with pytest.raises(Problem) as caught:
            await pipeline.publish([log("refused")])
        assert not first.done()
        await first
    finally:
        store.command(f"ALTER TABLE task_rows RESET SETTING {', '.join(limits)}")

    assert (caught.value.status, caught.value.code) == (503, "overloaded")
    assert "Retry-After" in caught.value.headers()
    await pipeline.publish([log("after")])
    stored = store.rows("SELECT task_id FROM tasks WHERE task_id IN ('slow', 'refused', 'after') ORDER BY task_id")
    assert [row["task_id"] for row in stored] == ["after", "slow"]
    [delays] = store.rows("SELECT value FROM system.events WHERE event = 'DelayedInserts'")
    assert int(delays["value"]) > 0
    pipeline.close()


async def test_publish_cancelled_before_its_batch_stores_nothing(store: Store) -> None:
    extraction = SlowExtraction()
    pipeline = Pipeline(
        extraction, Detection(Snapshot), store, HybridClock(), settings=PipelineSettings(max_waiting_bytes=400)
    )
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
    await pipeline.publish([log("fits-again" * 12)])
    rows = store.rows("SELECT task_id FROM task_rows WHERE task_id IN ('stays', 'leaves')")
    assert rows == [{"task_id": "stays"}]
    pipeline.close()


class CountingExtraction(Extraction):
    """Notes the projects of each batch."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []

    def __call__(self, batch: Sequence[Record]) -> StageOutput:
        self.batches.append([orjson.loads(record.value)["project_id"] for record in batch])
        return super().__call__(batch)


@pytest.mark.parametrize(
    ("logs", "fields"),
    [
        (2000, {}),
        (200, {"metadata": {f"key-{number}": number for number in range(900)}}),
        (40, {"output": "x" * 90_000}),
    ],
    ids=["many tasks", "many keys", "large tasks"],
)
async def test_large_request_does_not_hold_up_other_projects(
    store: Store, logs: int, fields: dict[str, object]
) -> None:
    extraction = CountingExtraction()
    pipeline = pipeline_on(store, extraction)
    large = [log(f"large-{number}", project_id="large", **fields)._replace(key=b"large:s") for number in range(logs)]

    sending = asyncio.create_task(pipeline.publish(large))
    await asyncio.sleep(0)
    await pipeline.publish([log("small", project_id="small")._replace(key=b"small:s")])

    assert not sending.done()
    assert max(map(len, extraction.batches)) <= 500
    await sending
    assert store.rows("SELECT uniqExact(task_id) AS n FROM task_rows WHERE project_id = 'large'")[0]["n"] >= logs
    pipeline.close()


class CancelledAtItsAnswer(Future[None]):
    """A future that is cancelled right before its answer, as an event loop may do."""

    def set_result(self, result: None) -> None:
        self.cancel()
        super().set_result(result)

    def set_exception(self, exception: BaseException | None) -> None:
        self.cancel()
        super().set_exception(exception)


@pytest.mark.parametrize("is_unavailable", [False, True])
async def test_publish_cancelled_at_its_answer_harms_nobody(
    store: Store, monkeypatch: pytest.MonkeyPatch, is_unavailable: bool
) -> None:
    monkeypatch.setattr("phospho_cli.processes.embedded.fair_queue.Future", CancelledAtItsAnswer)
    pipeline = pipeline_on(UnavailableStore() if is_unavailable else store)

    for number in range(2):
        answers = await asyncio.wait_for(
            asyncio.gather(pipeline.publish([log(f"late-{number}")]), return_exceptions=True), 20
        )
        assert [type(answer) for answer in answers] == [Problem if is_unavailable else type(None)]
    assert pipeline.check() is None
    pipeline.close()


class Panic(BaseException):
    """An error of a model's native code, which is no Exception."""


class PanickingExtraction(Extraction):
    def __call__(self, batch: Sequence[Record]) -> StageOutput:
        if any(b"panic" in record.value for record in batch):
            raise Panic("index out of bounds")
        return super().__call__(batch)


async def test_publish_raises_503_for_a_failing_stage_only_to_its_request(store: Store) -> None:
    pipeline = pipeline_on(store, PanickingExtraction())

    answers = await asyncio.gather(
        *(pipeline.publish([log(task_id)]) for task_id in ("calm-1", "panic", "calm-2")), return_exceptions=True
    )

    assert [type(answer) for answer in answers] == [type(None), Problem, type(None)]
    assert store.rows("SELECT count() AS n FROM task_rows WHERE task_id LIKE 'calm-%'")[0]["n"] == 2
    assert pipeline.check() is None
    pipeline.close()


class FailingOnce(Store):
    """A store that is unavailable at the first insert into a table."""

    def __init__(self, store: Store, table: str) -> None:
        super().__init__(_refuse)
        self._store = store
        self._failing = table

    def rows(self, sql: str, parameters: Mapping[str, object] | None = None) -> list[dict[str, object]]:
        return self._store.rows(sql, parameters)

    def insert(self, table: str, lines: bytes, token: str = "") -> None:
        if table == self._failing:
            self._failing = ""
            raise StoreUnavailable("gone for a moment")
        self._store.insert(table, lines, token)


async def test_publish_again_completes_a_half_stored_batch(
    store: Store,
) -> None:
    pipeline = pipeline_on(FailingOnce(store, "analysis_rows"))
    logs = [log("half", project_id="half-stored"), log("bad", project_id="half-stored", flag="maybe")]
    counts = []

    for attempt in range(2):
        if attempt == 0:
            with pytest.raises(Problem):
                await pipeline.publish(logs)
        else:
            await pipeline.publish(logs)
        query = "SELECT count() AS n FROM {} WHERE project_id = 'half-stored'"
        counts.append([store.rows(query.format(view))[0]["n"] for view in ("tasks", "analyses", "dead_letters")])

    assert counts == [[1, 0, 0], [1, 1, 1]]
    pipeline.close()


async def test_publish_stores_nothing_without_readable_definitions(store: Store) -> None:
    """Tasks must not be stored as analysed while their definitions are unknown."""
    is_available = False

    class UnavailableRepository(DefinitionRepository):
        def revisions(self) -> tuple[int, ...]:
            if not is_available:
                raise StoreUnavailable("nobody listens")
            return super().revisions()

    cache = DefinitionCache(UnavailableRepository(store), refresh_interval_s=0.0)
    pipeline = Pipeline(Extraction(), Detection(cache.current), store, HybridClock())
    pipeline.start()

    with pytest.raises(Problem) as caught:
        await pipeline.publish([log("undefined")])
    stored = store.rows("SELECT count() AS n FROM task_rows WHERE task_id = 'undefined'")[0]["n"]
    is_available = True
    await pipeline.publish([log("undefined")])

    assert (caught.value.status, caught.value.code, stored) == (503, "not_stored", 0)
    assert store.rows("SELECT count() AS n FROM analyses WHERE task_id = 'undefined'")[0]["n"] == 1
    pipeline.close()


async def test_close_finishes_accepted_requests_and_refuses_new_ones(store: Store) -> None:
    pipeline = pipeline_on(store)
    taken = asyncio.create_task(pipeline.publish([log("last")]))
    await asyncio.sleep(0)

    await asyncio.to_thread(pipeline.close)

    await taken
    with pytest.raises(Problem, match="stopping"):
        await pipeline.publish([log("too late")])


def receipt(receipt_id: str) -> Keyed:
    row = {"schema_version": 1, "project_id": "pipe", "receipt_id": receipt_id, "revision": 7, "source": "log"}
    return Keyed(b"pipe:", orjson.dumps(row | {"received_at": utc_text(utc_now()), "rejected": {"bad": 1}}))


class CountingStore(Store):
    """Counts the inserts of each table."""

    def __init__(self, store: Store) -> None:
        super().__init__(_refuse)
        self._store = store
        self.inserts: Counter[str] = Counter()

    def rows(self, sql: str, parameters: Mapping[str, object] | None = None) -> list[dict[str, object]]:
        return self._store.rows(sql, parameters)

    def insert(self, table: str, lines: bytes, token: str = "") -> None:
        self.inserts[table] += 1
        self._store.insert(table, lines, token)


async def test_receipts_of_requests_that_arrive_together_share_an_insert(store: Store) -> None:
    """Receipts of refused requests too, which take no thread of the executor."""
    counting, extraction = CountingStore(store), SlowExtraction()
    pipeline = pipeline_on(counting, extraction)
    first = asyncio.create_task(pipeline.publish([log("first")]))
    await extraction.has_begun.wait()

    refused = [asyncio.create_task(pipeline.publish([], [receipt(f"refused-{n}")])) for n in range(40)]
    accepted = [asyncio.create_task(pipeline.publish([log(f"r{n}")], [receipt(f"accepted-{n}")])) for n in range(10)]
    await asyncio.sleep(0)
    await asyncio.wait_for(asyncio.to_thread(lambda: None), 20)
    assert not any(task.done() for task in refused)
    extraction.may_go_on.set()
    await asyncio.gather(first, *refused, *accepted)

    assert counting.inserts["receipt_rows"] == 1
    rows = store.rows("SELECT uniqExact(receipt_id) AS n FROM receipt_rows WHERE project_id = 'pipe'")
    assert rows == [{"n": 50}]
    pipeline.close()


async def test_publish_succeeds_in_logs_where_receipts_fail(store: Store) -> None:
    pipeline = pipeline_on(FailingOnce(store, "receipt_rows"))

    with pytest.raises(ReceiptsUnpublished):
        await pipeline.publish([log("evidenced")], [receipt("late")])

    assert store.rows("SELECT count() AS n FROM task_rows WHERE task_id = 'evidenced'") == [{"n": 1}]
    await pipeline.publish([], [receipt("late")])
    assert store.rows("SELECT count() AS n FROM receipt_rows WHERE receipt_id = 'late'") == [{"n": 1}]
    pipeline.close()
