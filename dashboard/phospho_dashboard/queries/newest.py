"""The newest rows of a long time, without reading all of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from phospho_dashboard.queries.filters import Scope
from phospho_dashboard.queries.periods import Extent, Span

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
