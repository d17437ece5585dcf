"""One question tells all jobs of what has changed."""

from __future__ import annotations

from phospho_store.store import Store
from phospho_workers.jobs.loop.job import TableChanges
from store.facts import insert, task

TABLES = ("task_rows", "label_rows")


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_table_changes_differ_after_an_insert_into_that_table_only(store: Store, project_id: str) -> None:
    before = TableChanges(store).states(TABLES)
    insert(store, "task_rows", task(project_id, "one"))
    after = TableChanges(store).states(TABLES)
    assert (after[0] != before[0], after[1] == before[1]) == (True, True)

    # The very same row again, and another revision of it: whoever reads may want to look.
    insert(store, "task_rows", task(project_id, "one", 2))
    assert TableChanges(store).states(TABLES) != after


def test_table_changes_query_the_store_once_a_second(store: Store, project_id: str) -> None:
    clock = Clock()
    changes = TableChanges(store, clock)
    before = changes.states(TABLES)
    insert(store, "task_rows", task(project_id, "two"))
    assert changes.states(TABLES) == before
    clock.now_s = 1.0
    assert changes.states(TABLES) != before
