"""The times of a project's first and last task, and the kinds of corrections that it has."""

from __future__ import annotations

from dataclasses import replace

from phospho_dashboard.queries.periods import BEYOND_MS, FIRST_MS, Extent, Span
from phospho_dashboard.web.cache import TimedCache
from phospho_store.annotations.corrections import read_corrections
from phospho_store.sql.corrections import Corrections
from phospho_store.store import Store

# The times of the first and the last row by id: a granule a part. Where ids sort by time, the ends are near them.
_GUESSED = """
SELECT (
    SELECT toUnixTimestamp64Milli(created_at) FROM task_rows
    WHERE project_id = {project:String} ORDER BY task_id LIMIT 1
) AS first_ms, (
    SELECT toUnixTimestamp64Milli(created_at) FROM task_rows
    WHERE project_id = {project:String} ORDER BY task_id DESC LIMIT 1
) AS last_ms
"""
# Whatever is before the one or after the other; the index on time leaves little to read.
_NEAR_ENDS = """
SELECT toUnixTimestamp64Milli(min(created_at)) AS first_ms, toUnixTimestamp64Milli(max(created_at)) AS last_ms,
    min(created_at) <= fromUnixTimestamp64Milli({early_ms:Int64}) AS has_first,
    max(created_at) >= fromUnixTimestamp64Milli({late_ms:Int64}) AS has_last
FROM task_rows FINAL
WHERE project_id = {project:String} AND (
    created_at <= fromUnixTimestamp64Milli({early_ms:Int64}) OR created_at >= fromUnixTimestamp64Milli({late_ms:Int64})
)
HAVING count() > 0
"""
_OUTSIDE = """
SELECT countIf(created_at < fromUnixTimestamp64Milli({start_ms:Int64})) AS older,
    countIf(created_at >= fromUnixTimestamp64Milli({end_ms:Int64})) AS newer
FROM task_rows FINAL
WHERE project_id = {project:String}
"""
_END_MS = 60_000
_WIDER = 64
# Labels are few, and whether their tasks were analysed is looked up once for each state of them.
_BARE_LABELS = """
SELECT count() > 0 AS has_any FROM label_rows FINAL
WHERE project_id = {project:String} AND label = 'confirmed' AND task_id NOT IN (
    SELECT task_id FROM analysis_rows WHERE project_id = {project:String} AND task_id IN (
        SELECT task_id FROM label_rows WHERE project_id = {project:String}
    )
)
"""
_BARE_LABELS_TTL_S = 600.0


class Extents:
    """Reads the times of a project as a whole."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._has_bare_labels = TimedCache(self._read_bare_labels, ttl_s=_BARE_LABELS_TTL_S)

    def extent(self, project_id: str) -> Extent:
        """Return when the first and the last task of a project were."""
        [guessed] = self._store.rows(_GUESSED, {"project": project_id})
        width_ms, is_whole = _END_MS, guessed["first_ms"] is None
        while not is_whole:
            ends = {"early_ms": guessed["first_ms"] + width_ms, "late_ms": guessed["last_ms"] - width_ms}
            for ends_row in self._store.rows(_NEAR_ENDS, {"project": project_id, **ends}):
                if ends_row["has_first"] and ends_row["has_last"]:
                    return Extent(ends_row["first_ms"], ends_row["last_ms"])
            is_whole = ends["late_ms"] <= ends["early_ms"]
            width_ms *= _WIDER
        return Extent(None, None)

    def tasks_outside(self, project_and_span: tuple[str, Span]) -> dict[str, int]:
        """Return the number of a project's tasks before a span (`older`) and after it (`newer`)."""
        project_id, span = project_and_span
        start_ms = FIRST_MS if span.start_ms is None else span.start_ms
        end_ms = BEYOND_MS - 1 if span.end_ms is None else span.end_ms
        [row] = self._store.rows(_OUTSIDE, {"project": project_id, "start_ms": start_ms, "end_ms": end_ms})
        return row

    def corrections(self, project_id: str) -> Corrections:
        """Return what reading the events of this project has to look for beside its analyses."""
        corrections, digest = read_corrections(self._store, project_id)
        is_bare = corrections.has_labels and self._has_bare_labels.get((project_id, digest))
        return replace(corrections, has_bare_labels=is_bare)

    def _read_bare_labels(self, key: tuple[str, int]) -> bool:
        return bool(self._store.rows(_BARE_LABELS, {"project": key[0]})[0]["has_any"])
