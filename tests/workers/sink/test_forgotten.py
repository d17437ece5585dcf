"""Rows that are forgotten on their way are not in the store once the sink has committed them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson
import pytest

from phospho_schemas.ids import HybridClock
from phospho_schemas.topics import PARTS, STEPS, TASKS
from phospho_store.errors import StoreUnavailable
from phospho_store.forgetting.forget import Forgetting
from phospho_store.store import Store
from phospho_workers.sink.worker import SinkWorker
from store.facts import MOMENT, insert, task
from workers.runtime.kafka_fakes import FakeConsumer, FakeMessage
from workers.sink.test_worker import RecordingProducer


@pytest.fixture(autouse=True)
def _short_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("phospho_store.forgetting.forget._KNOWN_AFTER_S", 0.0)


class HookedStore:
    """A server's store that calls a hook before each query of tombstones, and one before each insert of tasks."""

    is_exclusive = False

    def __init__(self, store: Store) -> None:
        self._store = store
        self.before_rows: Callable[[], object] = lambda: None
        self.before_insert: Callable[[], object] = lambda: None

    def rows(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        self.before_rows()
        return self._store.rows(sql, parameters)

    def insert(self, table: str, lines: bytes, token: str = "") -> None:
        if table == "task_rows":
            self.before_insert()
        self._store.insert(table, lines, token)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class World:
    """A sink on the real engine, and what it is given."""

    def __init__(self, store: Store, project_id: str) -> None:
        self.project_id = project_id
        self.clock = HybridClock()
        self._real = store
        self.store = HookedStore(store)
        self.consumer = FakeConsumer()
        self.sink = SinkWorker(self.store, RecordingProducer())  # type: ignore[arg-type]
        self._offset = 0

    def handle(self, *rows: tuple[str, Mapping[str, Any]]) -> None:
        messages = []
        for topic, row in rows:
            self._offset += 1
            messages.append(FakeMessage(topic, 0, self._offset, orjson.dumps(row)))
        self.sink._assignments.update({(topic, 0): object() for topic, _ in rows})
        self.sink.handle(self.consumer, messages)  # type: ignore[arg-type]

    def forget(self, user_id: str = "ann") -> int:
        return Forgetting(self._real, self.clock).forget(self.project_id, "user", user_id).remaining_rows

    def number(self, table: str) -> int:
        sql = f"SELECT count() AS n FROM {table} WHERE project_id = {{project:String}}"
        return int(self._real.rows(sql, {"project": self.project_id})[0]["n"])

    def task(self, task_id: str, user_id: str = "ann", **fields: Any) -> tuple[str, Mapping[str, Any]]:
        return TASKS.name, task(self.project_id, task_id, self.clock.next(), user_id=user_id, **fields)

    def part(self, task_id: str) -> tuple[str, Mapping[str, Any]]:
        row = {"project_id": self.project_id, "task_id": task_id, "whole_log_id": "w", "part": 0, "parts": 1}
        times = {"revision": self.clock.next(), "created_at": MOMENT, "received_at": MOMENT}
        return PARTS.name, row | times | {"text": "the whole log"}

    def step(self, trace_id: str, span_id: str) -> tuple[str, Mapping[str, Any]]:
        row = {"project_id": self.project_id, "trace_id": trace_id, "span_id": span_id, "step": "{}"}
        return STEPS.name, row | {"revision": self.clock.next(), "created_at": MOMENT, "received_at": MOMENT}


@pytest.fixture
def world(store: Store, request: pytest.FixtureRequest) -> World:
    return World(store, request.node.name[:100])


def test_row_forgotten_during_its_insert_is_deleted(world: World) -> None:
    """The insert takes longer than the whole of forgetting."""
    reports = []
    world.store.before_insert = lambda: reports.append(world.forget())

    world.handle(world.task("t1"), world.task("t2", user_id="bob"))

    assert reports == [0]
    assert world.number("task_rows") == 1


def test_sink_stores_nothing_before_it_has_read_the_tombstones(world: World) -> None:
    """ClickHouse is away when the sink starts, and answers inserts before queries."""
    row = world.task("t1")
    world.forget()
    failures = iter(range(3))
    numbers = []

    def refuse() -> None:
        if next(failures, None) is not None:
            numbers.append(world.number("task_rows"))
            raise StoreUnavailable("away")

    world.store.before_rows = refuse
    inserts: list[object] = []
    world.store.before_insert = lambda: inserts.append(None)

    world.handle(row)

    assert (numbers, inserts, world.number("task_rows")) == ([0, 0, 0], [], 0)
    assert world.consumer.committed_at[TASKS.name, 0][1] == ""


def test_sink_survives_an_outage_after_its_insert(world: World) -> None:
    """Nothing is committed before the rows that were forgotten during the insert are deleted."""

    def forget_and_go_away() -> None:
        world.forget()
        failures = iter(range(2))

        def refuse() -> None:
            if next(failures, None) is not None:
                assert world.consumer.committed_at[TASKS.name, 0][1] != ""
                raise StoreUnavailable("away")

        world.store.before_rows = refuse

    world.store.before_insert = forget_and_go_away

    world.handle(world.task("t1"))

    assert world.number("task_rows") == 0
    assert world.consumer.committed_at[TASKS.name, 0][1] == ""


def test_parts_and_steps_of_a_forgotten_pending_task_are_deleted(world: World) -> None:
    """They name no user, and came before their task. A later step of the trace isn't stored either."""
    world.handle(world.part("t1"), world.step("trace-1", "before"), world.step("trace-2", "of-bob"))
    pending, late_step = world.task("t1", metadata={"trace_id": "trace-1"}), world.step("trace-1", "after")
    assert world.forget() == 0
    assert (world.number("log_part_rows"), world.number("step_rows")) == (1, 2)

    world.sink._tombstones._read_at_s = float("-inf")
    world.handle(pending)
    world.handle(late_step)

    assert {table: world.number(table) for table in ("task_rows", "log_part_rows", "step_rows")} == {
        "task_rows": 0,
        "log_part_rows": 0,
        "step_rows": 1,
    }


def test_log_after_the_forgetting_is_stored_under_the_same_ids(world: World) -> None:
    pending = world.task("t1")
    world.forget()
    insert(world._real, "log_part_rows", later := world.part("t1")[1])
    assert later["revision"] > pending[1]["revision"]

    world.handle(pending, world.task("t1"))

    assert (world.number("task_rows"), world.number("log_part_rows")) == (1, 1)


def test_rows_of_projects_without_tombstones_are_not_decoded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.forget()
    decoded = []
    monkeypatch.setattr("phospho_store.forgetting.tombstones._object", lambda line: decoded.append(line) or {})

    world.handle((TASKS.name, task(f"{world.project_id}-other", "t1", user_id="ann")))
    assert decoded == []

    world.handle(world.task("t1"))
    assert len(decoded) == 1
