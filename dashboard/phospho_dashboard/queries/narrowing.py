"""Narrower scopes that hold the same rows: the tasks of a search by their ids, and the newest tasks by their times."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from phospho_dashboard.queries.filters import Scope
from phospho_dashboard.queries.periods import Extent, Span
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


Rows = list[dict[str, Any]]

_FIRST_WINDOW_MS = 6 * 3_600_000
_WIDER = 16


def newest(read: Callable[[Scope], Rows], scope: Scope, extent: Extent, before_ms: int, limit: int) -> Rows:
    """
    Return what `read` finds in the last hours of `scope`, or in 16 times as many, until it finds `limit` rows.

    `read` takes a scope and returns the first `limit` rows of it, the newest first; a row that is in a window is
    newer than every row before it, so a window that is full holds the answer. `before_ms` is where the page starts.
    """
    first_ms, last_ms = extent.first_ms, extent.last_ms
    if first_ms is None or last_ms is None:
        return []
    start_ms = max(first_ms, scope.span.start_ms if scope.span.start_ms is not None else first_ms)
    width_ms = _FIRST_WINDOW_MS
    while True:
        window_ms = min(before_ms, last_ms) - width_ms
        is_whole = window_ms <= start_ms
        rows = read(scope if is_whole else scope.within(Span(window_ms, scope.span.end_ms)))
        if is_whole or len(rows) >= limit:
            return rows
        width_ms *= _WIDER
