"""A backup is restored whatever expires or is deleted meanwhile, and refused where rows are missing or it is newer."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from phospho_schemas.times import utc_text
from phospho_store.embedded.backups import BackupDamaged, back_up, restore
from phospho_store.store import Store, embedded
from store.facts import insert, task

pytestmark = pytest.mark.usefixtures("own_engine")


@pytest.fixture
def store(migrated_folder: Path, tmp_path: Path) -> Iterator[Store]:
    """A store that may write backups into `tmp_path`."""
    shutil.copytree(migrated_folder, tmp_path / "store", symlinks=True, copy_function=shutil.copyfile)
    store = embedded(str(tmp_path / "store"), tmp_path)
    insert(store, "task_rows", *(task("p", f"t{number}") for number in range(10)))
    yield store
    store.close()


def _rows(store: Store, table: str) -> int:
    return int(store.rows(f"SELECT count() AS n FROM {table} FINAL")[0]["n"])


def _run_beside(monkeypatch: pytest.MonkeyPatch, store: Store, *, backup: str = "", restore: str = "") -> None:
    """Run a statement right before BACKUP, and another right after RESTORE."""
    run = store.command

    def command(sql: str, parameters: Mapping[str, Any] | None = None) -> None:
        if backup and sql.startswith("BACKUP"):
            run(backup)
        run(sql, parameters)
        if restore and sql.startswith("RESTORE"):
            run(restore)

    monkeypatch.setattr(store, "command", command)


def test_backup_restores_where_rows_expire_meanwhile(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.command("SYSTEM STOP TTL MERGES receipt_rows")
    expired = {"project_id": "p", "revision": 1, "received_at": utc_text(datetime.now(UTC) - timedelta(days=60))}
    insert(store, "receipt_rows", *(expired | {"receipt_id": f"r{number}"} for number in range(10)))
    assert back_up(store, tmp_path / "backup").rows["receipt_rows"] == 10

    _run_beside(monkeypatch, store, restore="OPTIMIZE TABLE receipt_rows FINAL")
    assert restore(store, tmp_path / "backup").rows["receipt_rows"] == 0
    assert _rows(store, "task_rows") == 10


def test_backup_restores_where_rows_are_deleted_meanwhile(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _run_beside(monkeypatch, store, backup="DELETE FROM task_rows WHERE task_id = 't3'")
    manifest = back_up(store, tmp_path / "backup")
    assert manifest.rows["task_rows"] == 10
    assert restore(store, tmp_path / "backup").rows["task_rows"] == 9


def test_backup_with_a_row_too_few_is_refused(store: Store, tmp_path: Path) -> None:
    store.command("DELETE FROM task_rows WHERE task_id = 't3'")
    back_up(store, tmp_path / "backup")
    file = tmp_path / "backup/manifest.json"
    manifest = json.loads(file.read_bytes())
    manifest["rows"]["task_rows"] += 1
    file.write_text(json.dumps(manifest))
    with pytest.raises(BackupDamaged, match="task_rows has 9 rows, and had 10"):
        restore(store, tmp_path / "backup")


def test_backup_of_a_newer_version_is_refused_before_anything_is_dropped(store: Store, tmp_path: Path) -> None:
    insert(store, "schema_migrations", {"version": 9_999, "name": "later"})
    back_up(store, tmp_path / "backup")
    with pytest.raises(BackupDamaged, match="tables are of version 9999"):
        restore(store, tmp_path / "backup")
    assert _rows(store, "task_rows") == 10
