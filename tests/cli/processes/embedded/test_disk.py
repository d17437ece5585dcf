"""A full disk: logs are refused before it is full, no merge breaks, and all goes on with space back."""

from __future__ import annotations

import logging
from pathlib import Path

import orjson
import pytest

from phospho_cli.processes.embedded.disk import DiskReserve, prepare_tables
from phospho_store.store import Store
from phospho_web.problems import Problem

RESERVE = 1000


class Disk:
    """Free bytes that a test sets."""

    def __init__(self) -> None:
        self.free_bytes = RESERVE * 10

    def __call__(self) -> int:
        return self.free_bytes


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def reserve(store: Store, tmp_path: Path, disk: Disk) -> DiskReserve:
    return DiskReserve(store, tmp_path, RESERVE, disk)


def insert(store: Store, *task_ids: str) -> None:
    row = {"project_id": "disk", "revision": 1, "session_id": "s", "input": "hello"}
    row |= {"created_at": "2026-01-01T00:00:00.000Z", "received_at": "2026-01-01T00:00:00.000Z"}
    store.insert("task_rows", b"\n".join(orjson.dumps(row | {"task_id": task_id}) for task_id in task_ids))


def tasks(store: Store) -> int:
    return int(store.rows("SELECT uniqExact(task_id, input) AS n FROM task_rows")[0]["n"])


def test_reserve_refuses_logs_below_it_and_takes_them_above(
    reserve: DiskReserve, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    reserve.look()
    reserve.refuse_if_low()
    assert reserve.check() is None

    disk.free_bytes = RESERVE - 1
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            with pytest.raises(Problem) as refused:
                reserve.refuse_if_low()
            reserve.look()
        disk.free_bytes = RESERVE
        reserve.look()
        assert "1,000 bytes" in (reserve.check() or "")
        disk.free_bytes = RESERVE * 2
        reserve.look()

    assert (refused.value.status, refused.value.code, refused.value.retry_after_s) == (503, "disk_full", 10)
    reserve.refuse_if_low()
    assert reserve.check() is None
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]


def test_reserve_is_at_most_a_tenth_of_the_disk(store: Store, tmp_path: Path) -> None:
    DiskReserve(store, tmp_path, 10**18).refuse_if_low()


def test_reserve_brings_back_rows_of_a_merge_that_met_a_full_disk(
    store: Store, reserve: DiskReserve, disk: Disk
) -> None:
    """ClickHouse commits such a merge with an empty file of marks."""
    insert(store, "a", "b")
    insert(store, "c")
    store.command("OPTIMIZE TABLE task_rows FINAL")
    [part] = store.rows("SELECT path FROM system.parts WHERE table = 'task_rows' AND active AND level > 0")
    for marks in Path(part["path"]).glob("*.cmrk*"):
        marks.write_bytes(b"")
    store.command("SYSTEM DROP MARK CACHE")

    disk.free_bytes = 0
    reserve.look()

    assert tasks(store) == 3
    insert(store, "d", "e")
    store.command("OPTIMIZE TABLE analysis_rows FINAL")
    disk.free_bytes = RESERVE * 2
    reserve.look()
    assert tasks(store) == 5
    assert reserve.check() is None


def test_inserts_are_written_through_to_the_disk(store: Store) -> None:
    prepare_tables(store)
    [table] = store.rows("SELECT create_table_query AS query FROM system.tables WHERE name = 'task_rows'")
    assert "fsync_after_insert = 1" in table["query"]
    insert(store, "synced")


def test_small_insert_is_one_file_that_can_be_changed_and_merged(store: Store) -> None:
    prepare_tables(store)
    insert(store, "synced", "forgotten")
    parts = "SELECT DISTINCT part_storage_type AS type FROM system.parts WHERE table = 'task_rows' AND active"
    assert {"type": "Packed"} in store.rows(parts)
    store.command("DELETE FROM task_rows WHERE task_id = 'forgotten'")
    store.command("OPTIMIZE TABLE task_rows FINAL")
    stored = [row["task_id"] for row in store.rows("SELECT task_id FROM task_rows WHERE project_id = 'disk'")]
    assert "synced" in stored
    assert "forgotten" not in stored
