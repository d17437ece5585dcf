"""Events: each definition with how often, when, and how sure; and where it was found."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from phospho_dashboard.queries.analysed import analysed, found
from phospho_dashboard.queries.filters import Scope
from phospho_dashboard.queries.periods import Buckets
from phospho_dashboard.web.times import bounds, with_times
from phospho_store.store import Store

MAX_EVENTS = 1000
HISTOGRAM_BINS = 20

_COUNTS = """
SELECT toString(name) AS name, count() AS events, uniqExact(session) AS sessions, max(at_ms) AS last_at_ms
FROM
(
    SELECT arrayJoin(names) AS name, cityHash64(session_id) AS session, toUnixTimestamp64Milli(created_at) AS at_ms
    FROM %(analysed)s
)
GROUP BY name ORDER BY events DESC, name LIMIT {most:UInt32}
"""
# A definition that has found nothing is listed too: zero is an answer.
_DEFINED = "SELECT name FROM definitions WHERE project_id = {project:String} ORDER BY name LIMIT {most:UInt32}"
_NONE: dict[str, Any] = {"events": 0, "sessions": 0, "last_at_ms": None}
_TREND = """
SELECT
    toUInt8(grouping(bucket)) AS is_total,
    intDiv(toUnixTimestamp64Milli(created_at) - {origin_ms:Int64}, {step_ms:Int64}) AS bucket,
    sum(is_task) AS tasks, sum(countEqual(names, {name:String})) AS events,
    uniqExactIf(cityHash64(session_id), has(names, {name:String})) AS sessions,
    uniqExact(cityHash64(session_id)) AS all_sessions
FROM %(analysed)s
GROUP BY GROUPING SETS ((bucket), ())
"""
# What detection and judgements said, before people corrected it: that is what a threshold is chosen on.
_SCORES = """
SELECT
    toUInt8(grouping(bin)) AS is_version, bin, definition_version, engine,
    count() AS events, avg(toInt32(round(score * 10000))) / 10000 AS mean_score
FROM
(
    SELECT least(toUInt32(greatest(score, 0) * {bins:UInt32}), {bins:UInt32} - 1) AS bin, score, definition_version,
        toString(engine) AS engine
    FROM %(found)s
)
GROUP BY GROUPING SETS ((bin), (definition_version, engine))
"""
_MAX_VERSIONS = 20
_TOTALS = ("tasks", "events", "all_sessions", "sessions")

Row = dict[str, Any]


class Events:
    """Reads what was found."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def counts(self, scope: Scope) -> list[Row]:
        """Return `{"name", "events", "sessions", "last_at"}` of each event, the most frequent first."""
        counted = self._rows(_COUNTS, scope, most=MAX_EVENTS)
        known = {row["name"] for row in counted}
        defined = self._store.rows(_DEFINED, {"project": scope.project_id, "most": MAX_EVENTS})
        others = [_NONE | row for row in defined if row["name"] not in known]
        return [with_times(row) for row in (counted + others)[:MAX_EVENTS]]

    def event(self, scope: Scope, name: str, buckets: Buckets) -> Row:
        """
        Return one event's `totals`, `trend` (a row a bucket), `scores` (bins of 0 to 1) and `by_version`.

        Of the totals `tasks` and `all_sessions` count what is analysed, `events` and `sessions` those that have it.
        """
        cut = {"name": name, "origin_ms": buckets.start_ms, "step_ms": buckets.step_ms}
        counted = self._rows(_TREND, scope, **cut)
        totals = next((row for row in counted if row["is_total"]), dict.fromkeys(_TOTALS, 0))
        trend = {row["bucket"]: row["events"] for row in counted if not row["is_total"]}
        of_name = found(scope, "task_id", of_name="name = {name:String}")
        scored = self._store.rows(_SCORES % {"found": of_name}, scope.parameters(name=name, bins=HISTOGRAM_BINS))
        scores = {row["bin"]: row["events"] for row in scored if not row["is_version"]}
        return {
            "totals": {name: totals[name] for name in _TOTALS},
            "step_ms": buckets.step_ms,
            "trend": [bounds(bucket) | {"events": trend.get(index, 0)} for index, bucket in enumerate(buckets)],
            "scores": [
                {"from": number / HISTOGRAM_BINS, "to": (number + 1) / HISTOGRAM_BINS, "events": scores.get(number, 0)}
                for number in range(HISTOGRAM_BINS)
            ],
            "by_version": _by_version(row for row in scored if row["is_version"]),
        }

    def _rows(self, sql: str, scope: Scope, **parameters: Any) -> list[Row]:
        parts = {"analysed": analysed(scope, "created_at", "session_id")}
        return self._store.rows(sql % parts, scope.parameters(**parameters))


def _by_version(rows: Iterable[Row]) -> list[Row]:
    """Return what each version of a definition found, by which engine, the newest first."""
    ordered = sorted(rows, key=lambda row: (-row["definition_version"], row["engine"]))[:_MAX_VERSIONS]
    return [{name: row[name] for name in ("definition_version", "engine", "events", "mean_score")} for row in ordered]
