"""Inserts, which store all rows but the refused ones and can be repeated."""

from __future__ import annotations

from collections.abc import Callable

import orjson
import pytest

from phospho_schemas.topics import TASKS
from phospho_store.errors import StatementRefused, StoreUnavailable
from phospho_store.store import Store
from phospho_workers.sink.insert import ResumableInsert, accepts_good_row, insert_lines
from phospho_workers.sink.planner import MAX_INSERT_BYTES, TABLES


def task(task_id: str, **fields: object) -> bytes:
    row = {
        "schema_version": 1,
        "project_id": "insert",
        "task_id": task_id,
        "revision": 1,
        "session_id": "s",
        "created_at": "2026-01-01T00:00:00.000Z",
        "received_at": "2026-01-01T00:00:00.000Z",
        "input": "hello",
    }
    return orjson.dumps(row | fields)


@pytest.fixture(autouse=True)
def _empty(store: Store) -> None:
    store.command("TRUNCATE TABLE task_rows")


def raw_count(store: Store) -> int:
    return int(store.rows("SELECT count() AS number FROM task_rows")[0]["number"])


def test_insert_of_the_same_range_again_adds_nothing(store: Store) -> None:
    lines = [task(f"t{number}") for number in range(10)]

    for _ in range(3):
        assert insert_lines(store, "task_rows", lines, "phospho.tasks:0:0-9") == []

    assert raw_count(store) == 10


def test_insert_of_other_lines_for_the_same_range_is_stored(store: Store) -> None:
    """The offsets of a recreated topic begin again at 0, with other records."""
    insert_lines(store, "task_rows", [task("old")], "phospho.tasks:0:0-0")
    insert_lines(store, "task_rows", [task("new")], "phospho.tasks:0:0-0")

    assert raw_count(store) == 2


@pytest.mark.parametrize(
    "bad",
    [
        b"null",
        b"not json",
        b'{"project_id": "insert", "task_id": "cut off',
        b"[1, 2]",
        b"",
        task("bad", tokens_in="many"),
        task("bad", created_at="yesterday"),
        task("bad", schema_version=2),
        task("", session_id="s"),
        task("bad", metadata="text"),
        task("bad", metadata={f"k{number}": number for number in range(1011)}),
        task("bad", metadata={"x": [[[[1], None], None], None]}),
    ],
)
def test_insert_refuses_only_the_bad_row(store: Store, bad: bytes) -> None:
    lines = [task("a"), task("b"), bad or b"null", task("c"), task("d")]

    refused = insert_lines(store, "task_rows", lines, "phospho.tasks:1:0-4")

    assert [refusal.index for refusal in refused] == [2]
    assert refused[0].detail
    stored = store.rows("SELECT task_id FROM task_rows ORDER BY task_id")
    assert [row["task_id"] for row in stored] == ["a", "b", "c", "d"]


def test_insert_with_a_bad_row_can_be_repeated(store: Store) -> None:
    lines = [task("a"), b"not json", task("c")]

    first = insert_lines(store, "task_rows", lines, "phospho.tasks:2:0-2")
    second = insert_lines(store, "task_rows", lines, "phospho.tasks:2:0-2")

    assert first == second
    assert raw_count(store) == 2


def test_insert_into_a_missing_table_raises_store_unavailable(store: Store) -> None:
    with pytest.raises(StoreUnavailable):
        insert_lines(store, "no_such_table", [task("a"), task("b")], "phospho.tasks:3:0-1")


def test_insert_ignores_unknown_fields(store: Store) -> None:
    assert insert_lines(store, "task_rows", [task("a", of_a_newer_version={"x": 1})], "phospho.tasks:4:0-0") == []


WIDE = {f"key-{number}": number for number in range(80)}


def nested(task_id: str, levels: int) -> bytes:
    """Return a row as it may stand on the topic, whatever the gateway takes; orjson does not write 900 levels."""
    return task(task_id, metadata={"deep": "VALUE"}).replace(b'"VALUE"', b"[" * levels + b"1" + b"]" * levels)


class CountingStore(Store):
    """The engine, with statements that are counted and refused as a test says."""

    def __init__(self, store: Store, refuse: Callable[[bytes], Exception | None]) -> None:
        self._store = store
        self._refuse = refuse
        self.statements = 0
        self.tokens: list[str] = []

    def insert(self, table: str, lines: bytes, token: str = "") -> None:
        self.statements += 1
        if error := self._refuse(lines):
            raise error
        self._store.insert(table, lines, token)
        self.tokens.append(token)


@pytest.mark.parametrize("levels", [150, 230, 900])
def test_insert_refuses_a_deep_row_among_wide_rows(store: Store, levels: int) -> None:
    lines = [task("wide", metadata=WIDE), nested("deep", levels), task("good")]

    assert [refused.index for refused in insert_lines(store, "task_rows", lines, "phospho.tasks:5")] == [1]
    assert raw_count(store) == 2


@pytest.mark.parametrize("levels", [150, 900])
def test_insert_stores_nothing_that_breaks_merges(store: Store, levels: int) -> None:
    """A deep row alone is stored by ClickHouse, which then can't merge its part with one of many keys."""
    insert_lines(store, "task_rows", [nested("deep", levels)], "phospho.tasks:6")
    insert_lines(store, "task_rows", [nested("deepest", 100)], "phospho.tasks:6")
    for name in "ab":
        insert_lines(store, "task_rows", [task(name, metadata=WIDE)], "phospho.tasks:6")

    store.command("OPTIMIZE TABLE task_rows FINAL")

    stored = store.rows("SELECT task_id FROM task_rows ORDER BY task_id")
    assert [row["task_id"] for row in stored] == ["a", "b", "deepest"]


@pytest.mark.parametrize("code", [167, 306, 1001, 99_999])
def test_insert_bisects_an_unknown_refusal_to_the_row(store: Store, code: int) -> None:
    refusing = CountingStore(store, lambda lines: StatementRefused("NEW", code) if b"poison" in lines else None)
    lines = [task(f"t{number}") for number in range(64)]
    lines[40] = task("poison")

    refused = insert_lines(refusing, "task_rows", lines, "phospho.tasks:7")

    assert [refusal.index for refusal in refused] == [40]
    assert raw_count(store) == 63
    assert refusing.statements < 20


def test_insert_probes_when_all_rows_are_refused(store: Store) -> None:
    refusing = CountingStore(store, lambda lines: StatementRefused("NEW", 9) if b"poison" in lines else None)

    assert len(insert_lines(refusing, "task_rows", [task("poison")], "phospho.tasks:8")) == 1
    assert raw_count(store) == 0


def test_insert_dead_letters_nothing_when_the_table_is_at_fault(store: Store) -> None:
    """An unknown refusal of every statement: the good row of the probe is refused as well."""
    refusing = CountingStore(store, lambda _: StatementRefused("NEW", 9))
    insert = ResumableInsert(refusing, "task_rows", [task(f"t{number}") for number in range(1000)], "phospho.tasks:9")

    with pytest.raises(StoreUnavailable, match="good rows"):
        insert.run()
    refusing._refuse = lambda _: None
    insert.run()

    assert insert.refused_rows == []
    assert raw_count(store) == 1000


def test_insert_notices_a_table_that_breaks_on_the_way(store: Store) -> None:
    """After 100 refusals in a row the table is asked again."""
    lines = [task("good"), *(task(f"t{number}") for number in range(1000))]
    refusing = CountingStore(store, lambda lines: None if b"good" in lines and b"t0" not in lines else broken)
    broken = StatementRefused("NEW", 9)

    with pytest.raises(StoreUnavailable, match="good rows"):
        insert_lines(refusing, "task_rows", lines, "phospho.tasks:10")


def test_insert_gets_through_row_after_bad_row(store: Store) -> None:
    lines = [task(f"t{number}", created_at="not a time") for number in range(250)]
    counting = CountingStore(store, lambda _: None)

    refused = insert_lines(counting, "task_rows", [*lines, task("good")], "phospho.tasks:11")

    assert [refusal.index for refusal in refused] == list(range(250))
    assert raw_count(store) == 1
    assert counting.statements <= 2 * 251 + 250 // 100 + 1


@pytest.mark.parametrize("table", TABLES.values())
def test_probe_accepts_and_stores_nothing(store: Store, table: str) -> None:
    assert accepts_good_row(store, table)
    assert store.rows(f"SELECT count() AS n FROM {table} WHERE schema_version = 0")[0]["n"] == 0


def test_probe_detects_a_changed_column(store: Store) -> None:
    """ClickHouse refuses good rows with a code of bad rows then."""
    store.command("ALTER TABLE feedback_rows MODIFY COLUMN comment UInt32")
    try:
        assert not accepts_good_row(store, "feedback_rows")
        with pytest.raises(StoreUnavailable, match="good rows"):
            insert_lines(store, "feedback_rows", [b'{"comment": "fine", "schema_version": 1}'], "phospho.feedback:1")
    finally:
        store.command("ALTER TABLE feedback_rows MODIFY COLUMN comment String CODEC(ZSTD(3))")


def too_large(lines: bytes) -> Exception | None:
    return StatementRefused("TOO_MANY_BYTES", 307) if len(lines) > 5_000 else None


def test_insert_halves_what_is_too_large_for_the_server(store: Store) -> None:
    lines = [task(f"t{number}", input="x" * 100) for number in range(200)]
    stores = [CountingStore(store, too_large) for _ in range(2)]

    for counting in stores:
        assert insert_lines(counting, "task_rows", lines, "phospho.tasks:13") == []

    assert stores[0].tokens == stores[1].tokens
    assert raw_count(store) == 200


def test_insert_halves_what_takes_too_much_memory(store: Store) -> None:
    error = "Code: 241. DB::Exception: Query memory limit exceeded: would use 6.34 MiB"
    small = CountingStore(store, lambda lines: StoreUnavailable(error, 241) if lines.count(b"\n") > 3 else None)

    assert insert_lines(small, "task_rows", [task(f"t{number}") for number in range(20)], "phospho.tasks:14") == []
    assert raw_count(store) == 20


def test_insert_waits_when_the_server_is_out_of_memory(store: Store) -> None:
    error = StoreUnavailable("Code: 241. DB::Exception: (total) memory limit exceeded", 241)

    with pytest.raises(StoreUnavailable, match="total"):
        insert_lines(CountingStore(store, lambda _: error), "task_rows", [task("a"), task("b")], "phospho.tasks:15")


def test_insert_takes_the_largest_row_of_a_topic_by_itself(store: Store) -> None:
    largest = task("largest", input="x" * (TASKS.max_message_bytes - 2_000))
    counting = CountingStore(store, lambda lines: too_large(lines) if len(lines) > 64 << 20 else None)

    assert insert_lines(counting, "task_rows", [task("a"), largest, task("b")], "phospho.tasks:16") == []
    assert len(counting.tokens) == 3
    assert len(largest) > MAX_INSERT_BYTES
