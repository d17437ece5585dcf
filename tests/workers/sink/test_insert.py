"""Inserts: all rows or all but the bad ones, and the same insert again changes nothing."""

from __future__ import annotations

import orjson
import pytest

from phospho_store.errors import StatementRefused
from phospho_store.store import Store
from phospho_workers.sink.insert import insert_lines


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


def test_the_same_range_again_is_not_inserted_again(store: Store) -> None:
    lines = [task(f"t{number}") for number in range(10)]

    for _ in range(3):
        assert insert_lines(store, "task_rows", lines, "phospho.tasks:0:0-9") == []

    assert raw_count(store) == 10


def test_other_lines_under_the_same_place_are_not_taken_for_the_old_ones(store: Store) -> None:
    """As after a topic was made anew: its offsets begin again at 0, with other records."""
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
    ],
)
def test_a_bad_row_harms_itself_only(store: Store, bad: bytes) -> None:
    lines = [task("a"), task("b"), bad or b"null", task("c"), task("d")]

    refused = insert_lines(store, "task_rows", lines, "phospho.tasks:1:0-4")

    assert [refusal.index for refusal in refused] == [2]
    assert refused[0].detail
    stored = store.rows("SELECT task_id FROM task_rows ORDER BY task_id")
    assert [row["task_id"] for row in stored] == ["a", "b", "c", "d"]


def test_a_batch_with_a_bad_row_can_be_repeated(store: Store) -> None:
    lines = [task("a"), b"not json", task("c")]

    first = insert_lines(store, "task_rows", lines, "phospho.tasks:2:0-2")
    second = insert_lines(store, "task_rows", lines, "phospho.tasks:2:0-2")

    assert first == second
    assert raw_count(store) == 2


def test_a_fault_of_the_table_stops_the_sink_and_is_no_dead_letter(store: Store) -> None:
    with pytest.raises(StatementRefused):
        insert_lines(store, "no_such_table", [task("a"), task("b")], "phospho.tasks:3:0-1")


def test_a_field_that_the_table_does_not_know_is_no_fault(store: Store) -> None:
    assert insert_lines(store, "task_rows", [task("a", of_a_newer_version={"x": 1})], "phospho.tasks:4:0-0") == []
