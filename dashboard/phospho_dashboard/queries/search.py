"""A search that is made once: most phrases are in few tasks, whose ids then stand for it."""

from __future__ import annotations

from phospho_dashboard.queries.filters import Scope
from phospho_store.store import Store

# What fits well into the address of a request to ClickHouse, where parameters travel.
MAX_IDS = 1000
MAX_CHARACTERS = 60_000


def searched(store: Store, scope: Scope) -> Scope:
    """
    Return the same tasks, by their ids where there are few of them.

    A page of counts asks many queries, and each would read every text for the phrase again. Where the phrase is in
    many tasks the scope is returned as it is; so it is without a phrase.
    """
    if not scope.filters.q:
        return scope
    sql = f"SELECT task_id FROM task_rows FINAL WHERE {scope.tasks()} LIMIT {MAX_IDS + 1}"
    ids = [row["task_id"] for row in store.rows(sql, scope.parameters())]
    is_few = len(ids) <= MAX_IDS and sum(map(len, ids)) <= MAX_CHARACTERS
    return scope.of_tasks(ids) if is_few else scope
