"""Tasks that were logged and analysed, for the tests of those who give judgements."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from phospho_store.registry.definition_sets import DefinitionRepository
from phospho_store.store import Store
from phospho_workers.detection.detect import analyse
from phospho_workers.detection.loader import DefinitionCache
from store.facts import insert, task, view


def log(store: Store, project_id: str, inputs: Mapping[str, str], revision: int = 1, **fields: Any) -> None:
    """Store tasks, by id, and what detection says of them with the definitions of now."""
    tasks = [task(project_id, name, revision, input=text, **fields) for name, text in inputs.items()]
    insert(store, "task_rows", *tasks)
    analyse_again(store, *tasks)


def analyse_again(store: Store, *tasks: dict[str, Any]) -> None:
    snapshot = DefinitionCache(DefinitionRepository(store)).current()
    rows = [row | {"definitions_revision": snapshot.revision} for row in analyse(tasks, snapshot.by_project)]
    insert(store, "analysis_rows", *rows)


def found(store: Store, project_id: str) -> dict[tuple[str, str], str]:
    """Return who saw each event that readers see: by task and name, the judge, or the engine where there is none."""
    rows = view(store, "events", project_id)
    seen = {(row["task_id"], row["name"]): row["judge"] or row["engine"] for row in rows}
    assert len(seen) == len(rows), "an event is there twice"
    return seen
