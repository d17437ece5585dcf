"""The definitions of `phospho up` are read after each of its own writes, and no query is asked without one."""

from __future__ import annotations

import pytest

from phospho_cli.processes.embedded.local_definitions import LocalDefinitions
from phospho_store.registry.definition_sets import DefinitionRepository
from phospho_store.registry.registry import Registry
from phospho_store.store import Store
from workers.detection.tasks import keywords


def test_revisions_are_asked_for_after_a_write_alone(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    questions: list[str] = []
    rows = Store.rows
    monkeypatch.setattr(Store, "rows", lambda self, sql, *rest: questions.append(sql) or rows(self, sql, *rest))
    definitions = LocalDefinitions(store, DefinitionRepository(store))
    before = definitions.revisions()
    questions.clear()
    store.insert("task_rows", b"")
    assert (definitions.revisions(), questions) == (before, [])

    Registry(store.sibling(1)).save_definition(keywords("thanks", "thanks", project_id="local"))
    assert definitions.revisions() != before


def test_deletion_of_rows_is_a_write(store: Store) -> None:
    definitions = LocalDefinitions(store, DefinitionRepository(store))
    Registry(store).save_definition(keywords("refund", "refund", project_id="local"))
    before = definitions.revisions()
    store.command("TRUNCATE TABLE definition_rows")
    assert definitions.revisions() != before
