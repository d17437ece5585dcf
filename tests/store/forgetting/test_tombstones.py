"""Tombstones of a store that only this process writes are read after its own writes, and not asked for between them."""

from __future__ import annotations

import pytest

from phospho_store.forgetting.tombstones import Tombstones, store_tombstones
from phospho_store.store import Store

_ROW = {"project_id": "exclusive", "user_id": "lena", "revision": 5}


def test_tombstones_ask_an_exclusive_store_after_a_write_alone(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    tombstones = Tombstones(store)
    tombstones.refresh()
    questions: list[str] = []
    rows = Store.rows
    monkeypatch.setattr(Store, "rows", lambda self, sql, *rest: questions.append(sql) or rows(self, sql, *rest))
    store.insert("task_rows", b"")
    assert (tombstones.refresh(), questions) == (False, [])

    store_tombstones(store.sibling(1), "exclusive", [("user", "lena")], revision=9)
    assert tombstones.refresh()
    assert tombstones.covers(_ROW)


def test_tombstones_ask_a_shared_store_each_time(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "is_exclusive", False)
    tombstones = Tombstones(store)
    tombstones.refresh()
    # Those of another process, whose writes this store can't count.
    monkeypatch.setattr(Store, "writes", lambda self, tables: 0)
    store_tombstones(store, "exclusive", [("user", "kim")], revision=9)
    assert tombstones.refresh()
    assert tombstones.covers(_ROW | {"user_id": "kim"})
