"""Reads and writes of rollups: the watermark, the hours that wait, and their computation."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from phospho_store.annotations.corrections import read_corrections
from phospho_store.rollups.coverage import watermark_ms
from phospho_store.sql import compose
from phospho_store.sql.changed_hours import changed_hours
from phospho_store.sql.corrections import Corrections
from phospho_store.sql.feedback import feedback_of_span
from phospho_store.sql.rollups import DIMENSIONS, HOUR, hour_start_ms
from phospho_store.store import Store

_OPEN_CHANGED = """
INSERT INTO rollup_hour_rows (project_id, hour, revision, computation, due_ms)
SELECT project_id, hour, {revision:UInt64}, 0, 0 FROM ($changed) WHERE hour >= 0
"""
_EVERY_HOUR = f"""
SELECT project_id, {HOUR} AS hour FROM task_rows GROUP BY project_id, hour
UNION DISTINCT
SELECT project_id, {HOUR} AS hour FROM analysis_rows GROUP BY project_id, hour
"""
_CHANGED = "SELECT project_id, hour FROM ($changed) WHERE project_id IN {projects:Array(String)}"
_WAITING = """
SELECT project_id, hour, argMax(due_ms, revision) AS due
FROM rollup_hour_rows
WHERE (project_id, hour) IN
    (SELECT project_id, hour FROM rollup_hour_rows WHERE computation = 0 AND revision >= {since:UInt64})
GROUP BY project_id, hour
HAVING argMax(computation, revision) = 0
ORDER BY hour DESC, project_id LIMIT {limit:UInt32}
"""
_OF_HOURS = """
project_id = {project:String} AND created_at >= fromUnixTimestamp64Milli({start_ms:Int64})
AND created_at < fromUnixTimestamp64Milli({end_ms:Int64}) AND $hour IN {hours:Array(Int32)}
"""
_TASKS_BY_HOUR = """
SELECT $hour AS hour, count() AS tasks FROM task_rows WHERE $hours GROUP BY hour
"""
_EARLIER = "project_id = {project:String} AND hour IN {hours:Array(Int32)} AND computation < {computation:UInt64}"
_ANY_EARLIER = f"SELECT 1 FROM rollup_rows WHERE {_EARLIER} LIMIT 1"
_DELETE_EARLIER = f"DELETE FROM rollup_rows WHERE {_EARLIER}"
_HOURS_OF_TASKS = """
SELECT DISTINCT $hour AS hour FROM task_rows WHERE project_id = {project:String} AND $condition
UNION DISTINCT
SELECT DISTINCT $hour AS hour FROM analysis_rows WHERE project_id = {project:String} AND $condition
"""


# An insert is stamped when it begins and visible when it has ended, and a reader that has seen which hours hold reads
# them after that: both take less.
SETTLING_MS = 60_000
_LONGEST_DELETION_MS = 3_600_000
_NEVER = 2**64 - 1
# As many as fit well into an address.
_HOURS_OF_A_DELETE = 2_000
# The greatest of the revisions of one millisecond.
_LAST = 0xFFFF


class Hour(NamedTuple):
    """An hour of a project, counted from 1900."""

    project_id: str
    hour: int


class WaitingHour(NamedTuple):
    """An hour that waits for its computation, and when that may begin. Unix milliseconds."""

    hour: Hour
    due_ms: int


@dataclass(frozen=True)
class HoursScope:
    """The tasks of some hours of a project, whose ids and ends are the parameters of `hours_parameters`."""

    corrections: Corrections

    def tasks(self) -> str:
        return compose(_OF_HOURS, hour=HOUR)

    analyses = session_analyses = of_span = tasks

    def feedback(self) -> str:
        return feedback_of_span(self.of_span())


def hours_parameters(project_id: str, hours: Sequence[int]) -> dict[str, Any]:
    """Return the parameters of an HoursScope."""
    ends = {"start_ms": hour_start_ms(min(hours)), "end_ms": hour_start_ms(max(hours) + 1)}
    return {"project": project_id, "hours": list(hours), **ends}


class Rollups:
    """
    Reads and writes of rollups. Blocking; raises what the store raises.

    Times are Unix milliseconds by ClickHouse's clock. A revision is such a time and 16 bits more.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def now_ms(self) -> int:
        return self._store.now_ms()

    def advance(self, now_ms: int, settled_ms: int) -> None:
        """Let every hour that changed since the watermark wait, or every hour at the first time, and move it."""
        since_ms = watermark_ms(self._store)
        changed = changed_hours("1", "{since:Int64}", "{settled:Int64}") if since_ms else _EVERY_HOUR
        parameters = {"since": since_ms, "settled": settled_ms, "revision": _revision(now_ms)}
        self._store.command(compose(_OPEN_CHANGED, changed=changed), parameters)
        row = {"name": "rollups", "settled_ms": settled_ms}
        self._store.insert("rollup_watermark_rows", orjson.dumps(row))

    def waiting(self, since_ms: int, limit: int) -> list[WaitingHour]:
        """Return hours that wait since a time, the latest hours first."""
        rows = self._store.rows(_WAITING, {"since": _revision(since_ms), "limit": limit})
        return [WaitingHour(Hour(row["project_id"], row["hour"]), row["due"]) for row in rows]

    def changing(self, since_ms: int, project_ids: Sequence[str]) -> set[Hour]:
        """Return the hours of these projects that changed since a time."""
        changed = changed_hours("project_id IN {projects:Array(String)}", "{since:Int64}")
        rows = self._store.rows(compose(_CHANGED, changed=changed), {"projects": list(project_ids), "since": since_ms})
        return {Hour(row["project_id"], row["hour"]) for row in rows if row["hour"] >= 0}

    def tasks_by_hour(self, project_id: str, hours: Sequence[int]) -> dict[int, int]:
        """Return how many tasks these hours have, about."""
        sql = compose(_TASKS_BY_HOUR, hour=HOUR, hours=HoursScope(Corrections()).tasks())
        rows = self._store.rows(sql, hours_parameters(project_id, hours))
        return {row["hour"]: row["tasks"] for row in rows}

    def compute(self, project_id: str, hours: Sequence[int], begun_ms: int) -> None:
        """
        Compute hours from facts, and let their rollups hold.

        An hour that was marked since `begun_ms` stays open. Killed in the middle, the hours still wait.
        """
        corrections, _ = read_corrections(self._store, project_id)
        scope = HoursScope(corrections)
        # Greater than the revision of what waited by then, and smaller than that of a mark of the same millisecond.
        computation = _revision(begun_ms) | secrets.randbelow(_LAST - 1) + 1
        parameters = {**hours_parameters(project_id, hours), "computation": computation}
        for dimension in DIMENSIONS:
            self._store.command(dimension.store(scope, "{computation:UInt64}"), parameters)
        self._save([Hour(project_id, hour) for hour in hours], computation, computation, 0)
        self._delete_earlier(parameters)

    def _delete_earlier(self, parameters: dict[str, Any]) -> None:
        """Delete what earlier computations of these hours stored: it may name users that are to be forgotten."""
        if self._store.rows(_ANY_EARLIER, parameters):
            self._store.command(_DELETE_EARLIER, parameters)

    def begin_deletion(self, project_id: str, condition: str, parameters: dict[str, Any]) -> list[Hour]:
        """
        Return the hours of tasks that will be deleted, once readers take them from facts: until `end_deletion`.

        `condition` is on `task_rows` and `analysis_rows`. A task to delete may be what shows that another hour has
        changed: the hours that changed lately are among them. Where the deletion breaks off, it must be repeated.
        """
        sql = compose(_HOURS_OF_TASKS, hour=HOUR, condition=condition)
        rows = self._store.rows(sql, {**parameters, "project": project_id})
        hours = {Hour(project_id, row["hour"]) for row in rows if row["hour"] >= 0}
        if hours:
            hours |= self.changing(watermark_ms(self._store), [project_id])
            self._open(hours, _LONGEST_DELETION_MS)
        return sorted(hours)

    def end_deletion(self, hours: Sequence[Hour]) -> None:
        """Delete what was computed of the hours of a deletion, and let them be computed again."""
        for project_id in {hour.project_id for hour in hours}:
            of_project = [hour.hour for hour in hours if hour.project_id == project_id]
            for first in range(0, len(of_project), _HOURS_OF_A_DELETE):
                parameters = {"project": project_id, "hours": of_project[first : first + _HOURS_OF_A_DELETE]}
                self._delete_earlier({**parameters, "computation": _NEVER})
        self._open(hours, SETTLING_MS)

    def _open(self, hours: Collection[Hour], for_ms: int) -> None:
        """Let readers take hours from facts until they are computed again, which does not begin for `for_ms`."""
        now_ms = self.now_ms()
        self._save(hours, _revision(now_ms) | _LAST, 0, now_ms + for_ms)

    def _save(self, hours: Collection[Hour], revision: int, computation: int, due_ms: int) -> None:
        rest = {"revision": revision, "computation": computation, "due_ms": due_ms}
        lines = (orjson.dumps({"project_id": hour.project_id, "hour": hour.hour, **rest}) for hour in hours)
        if hours:
            self._store.insert("rollup_hour_rows", b"\n".join(lines))


def _revision(time_ms: int) -> int:
    return time_ms << 16
