"""The hours of a span that a reader takes from rollups, and those that it takes from facts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from phospho_store.sql import compose
from phospho_store.sql.changed_hours import Arrivals, arrivals, changed_hours
from phospho_store.sql.corrections import Corrections
from phospho_store.sql.rollups import HOUR_MS, first_hour_from, hour_start_ms
from phospho_store.store import Store

_WATERMARK = "SELECT max(settled_ms) AS settled_ms FROM rollup_watermark_rows"
# Ranges of facts beyond which one reading of all facts costs no more.
_MAX_RANGES = 100
# 2300, beyond which no DateTime64 is.
_LAST_HOUR = first_hour_from(10_413_792_000_000)
# Facts of fewer tasks are read for less than it costs to look for hours that hold.
_FEW_TASKS = 100_000

# Unix milliseconds, the end excluded; None is open.
Range = tuple[int | None, int | None]

_IS_MANY = """
SELECT count() = {enough:UInt32} AS is_many FROM
(
    SELECT 1 FROM task_rows
    WHERE project_id = {project:String} AND created_at >= fromUnixTimestamp64Milli({first_ms:Int64})
        AND created_at < fromUnixTimestamp64Milli({last_ms:Int64})
    LIMIT {enough:UInt32}
)
"""
# The marked hours, and what has arrived at all: only for that are the hours looked for.
_MARKED = """
SELECT
    (
        SELECT groupArray(hour) FROM rollup_hour_rows FINAL
        WHERE project_id = {project:String} AND hour BETWEEN {from_hour:Int32} AND {to_hour:Int32} AND computation = 0
    ) AS hours,
    (SELECT max(revision) FROM rollup_hour_rows WHERE project_id = {project:String}) AS revision,
    $arrivals
"""
_CHANGED = (
    "SELECT groupUniqArray(hour) AS hours FROM ($changed) WHERE hour BETWEEN {from_hour:Int32} AND {to_hour:Int32}"
)
# An hour that was opened and computed again since has a later revision.
_STILL_SEALED = """
SELECT count() = 0 AS is_sealed FROM rollup_hour_rows FINAL
WHERE project_id = {project:String} AND hour >= {from_hour:Int32} AND hour < {to_hour:Int32}
    AND hour NOT IN {open_hours:Array(Int32)} AND (computation = 0 OR revision > {revision:UInt64})
"""
_OF_PROJECT = "project_id = {project:String}"
_SINCE = "{since:Int64}"

SEALED = """
hour >= {from_hour:Int32} AND hour < {to_hour:Int32} AND hour NOT IN {open_hours:Array(Int32)}
AND (hour, computation) IN
    (SELECT hour, computation FROM rollup_hour_rows FINAL WHERE project_id = {project:String} AND computation != 0)
"""
"""The condition on `rollup_rows` that holds for the sealed hours of a coverage, with its parameters."""


@dataclass(frozen=True)
class Coverage:
    """
    A span in parts: the hours from `from_hour` to `to_hour` but the open ones are in rollups.

    `fact_ranges` are the rest. `revision` is the greatest one of the project's hours.
    """

    from_hour: int
    to_hour: int
    open_hours: tuple[int, ...]
    fact_ranges: tuple[Range, ...]
    revision: int

    @property
    def parameters(self) -> dict[str, Any]:
        return {"from_hour": self.from_hour, "to_hour": self.to_hour, "open_hours": list(self.open_hours)}


def watermark_ms(store: Store) -> int:
    """Return the time up to which every change is in rollups, or its hours wait; 0 before the first computation."""
    return int(store.rows(_WATERMARK)[0]["settled_ms"])


class CoverageReader:
    """Reads which hours of a project are sealed. Blocking; raises what the store raises."""

    def __init__(self, store: Store, *, few_tasks: int = _FEW_TASKS) -> None:
        self._store = store
        self._few_tasks = few_tasks

    def coverage(
        self,
        project_id: str,
        span: Range,
        cuts_ms: Iterable[int],
        corrections: Corrections,
    ) -> Coverage | None:
        """
        Return the coverage of a span; None where reading all of its facts is as cheap.

        No period of the reader may end within an hour that is taken from rollups: `cuts_ms` are their ends. A
        deletion opens hours at once: ask `is_sealed` after the last query, and read again where it is False.
        """
        start_ms, end_ms = span
        from_hour = 0 if start_ms is None else max(first_hour_from(start_ms), 0)
        to_hour = _LAST_HOUR if end_ms is None else min(first_hour_from(end_ms - HOUR_MS + 1), _LAST_HOUR)
        since_ms = watermark_ms(self._store) if from_hour < to_hour else 0
        if not since_ms or not self._is_many(project_id, from_hour, to_hour):
            return None
        parameters = {"project": project_id, "since": since_ms, "from_hour": from_hour, "to_hour": to_hour}
        [row] = self._store.rows(compose(_MARKED, arrivals=arrivals(_OF_PROJECT, _SINCE)), parameters)
        hours, revision = set(row.pop("hours")), int(row.pop("revision"))
        kinds = Arrivals(**{kind: bool(has_any) for kind, has_any in row.items()})
        if changed := changed_hours(_OF_PROJECT, _SINCE, corrections=corrections, kinds=kinds):
            hours |= set(self._store.rows(compose(_CHANGED, changed=changed), parameters)[0]["hours"])
        cut_hours = {first_hour_from(cut_ms) - 1 for cut_ms in cuts_ms if cut_ms % HOUR_MS}
        open_hours = [hour for hour in sorted(hours | cut_hours) if from_hour <= hour < to_hour]
        ranges = _fact_ranges(span, from_hour, to_hour, open_hours)
        if len(ranges) > _MAX_RANGES:
            return None
        return Coverage(from_hour, to_hour, tuple(open_hours), tuple(ranges), revision=revision)

    def is_sealed(self, project_id: str, coverage: Coverage) -> bool:
        """Return whether the sealed hours of a coverage have been so since it was read."""
        parameters = {"project": project_id, "revision": coverage.revision, **coverage.parameters}
        return bool(self._store.rows(_STILL_SEALED, parameters)[0]["is_sealed"])

    def _is_many(self, project_id: str, from_hour: int, to_hour: int) -> bool:
        ends = {"first_ms": hour_start_ms(from_hour), "last_ms": hour_start_ms(to_hour)}
        parameters = {"project": project_id, "enough": self._few_tasks, **ends}
        return bool(self._store.rows(_IS_MANY, parameters)[0]["is_many"])


def _fact_ranges(span: Range, from_hour: int, to_hour: int, open_hours: Sequence[int]) -> list[Range]:
    """Return the parts of a span outside of its sealed hours, in order."""
    start_ms, end_ms = span
    first_ms, last_ms = hour_start_ms(from_hour), hour_start_ms(to_hour)
    ranges: list[Range] = []
    if start_ms is not None and start_ms < first_ms:
        ranges.append((start_ms, first_ms))
    ranges += [(hour_start_ms(first), hour_start_ms(last + 1)) for first, last in _runs(open_hours)]
    if end_ms is not None and last_ms < end_ms:
        ranges.append((last_ms, end_ms))
    return ranges


def _runs(hours: Collection[int]) -> list[tuple[int, int]]:
    """Return the first and the last of each run of consecutive hours; `hours` are sorted."""
    runs: list[tuple[int, int]] = []
    for hour in hours:
        if runs and runs[-1][1] == hour - 1:
            runs[-1] = (runs[-1][0], hour)
        else:
            runs.append((hour, hour))
    return runs
