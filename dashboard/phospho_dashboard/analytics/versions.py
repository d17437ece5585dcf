"""
Versions of the app side by side: the measures of each, and their differences from one of them.

Tasks of one session depend on each other, so the unit is the session: the share of sessions with an event, the mean
score that the event has in one, the mean cost of a session, its mean sentiment. Feedback is counted by the judged task,
seldom more than one a session.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from phospho_dashboard.analytics.trends import Trends
from phospho_dashboard.layout.views import Content, View, ViewRequest
from phospho_dashboard.queries.filters import Scope, searched
from phospho_dashboard.settings import Prices
from phospho_dashboard.web.formats import with_times
from phospho_store.confidence import ALPHA, Interval, difference, mean_interval, rate_interval
from phospho_store.sql import compose
from phospho_store.sql.analysed import analysed, flagged_tasks, found_events
from phospho_store.sql.metrics import COST_UNIT, TASK_COST
from phospho_store.store import Store

MAX_VERSIONS = 8
# A chart has as many colors.
CHARTED_VERSIONS = 6
MAX_EVENTS = 100

_VERSIONS = """
SELECT toString(version_id) AS version, count() AS tasks, uniqExact(cityHash64(session_id)) AS sessions,
    toUnixTimestamp64Milli(min(created_at)) AS first_task_at_ms,
    toUnixTimestamp64Milli(max(created_at)) AS last_task_at_ms,
    sum(ifNull(tokens_in, 0)) + sum(ifNull(tokens_out, 0)) AS tokens,
    quantilesBFloat16(0.5, 0.95)(latency_ms) AS latencies
FROM task_rows FINAL WHERE $tasks
GROUP BY version ORDER BY tasks DESC, version LIMIT {most:UInt32}
"""
_FEEDBACK = """
SELECT toString(version_id) AS version, countIf(flag = 'success') AS successes, countIf(flag = 'failure') AS failures
FROM $flagged_tasks
GROUP BY version
"""
_EVENTS = """
SELECT version, name, uniqExact(session) AS sessions
FROM (SELECT toString(version_id) AS version, cityHash64(session_id) AS session, arrayJoin(names) AS name
    FROM $analysed)
WHERE version IN {versions:Array(String)}
GROUP BY version, name
"""
# Sums of integers, which no order of the rows changes: scores and sentiment in ten-thousandths, money in billionths.
_SCORES = """
SELECT version, name, count() AS n, sum(mean_score) AS total,
    toFloat64(sum(toInt128(mean_score) * mean_score)) AS squares
FROM
(
    SELECT toString(version_id) AS version, toString(name) AS name,
        toInt64(round(avg(toInt32(round(score * 10000))))) AS mean_score
    FROM $found_events
    GROUP BY version, name, cityHash64(session_id)
)
WHERE version IN {versions:Array(String)}
GROUP BY version, name
"""
_SENTIMENT = """
SELECT version, count() AS sessions, countIf(felt) AS n, sum(score) AS total,
    toFloat64(sum(toInt128(score) * score)) AS squares
FROM
(
    SELECT toString(version_id) AS version, count(sentiment_score) > 0 AS felt,
        ifNull(toInt64(round(avg(toInt32(round(sentiment_score * 10000))))), 0) AS score
    FROM $analysed
    GROUP BY version, cityHash64(session_id)
)
WHERE version IN {versions:Array(String)}
GROUP BY version
"""
_COST = """
SELECT version, count() AS n, toFloat64(sum(toInt128(cost))) AS total, toFloat64(sum(toInt128(cost) * cost)) AS squares
FROM
(
    SELECT toString(version_id) AS version, sum($cost) AS cost
    FROM task_rows FINAL WHERE $tasks
    GROUP BY version, cityHash64(session_id)
    HAVING countIf(toString(model) NOT IN {models:Array(String)}) = 0
)
GROUP BY version
"""
_SCORE_UNIT = 10_000

Row = dict[str, Any]


class Versions:
    """Read versions. Blocking."""

    def __init__(self, store: Store, prices: Prices) -> None:
        self._store = store
        self._prices = prices

    def compare(self, scope: Scope, base: str | None) -> Row:
        """
        Return the largest `versions`, and `measures`: for each, an interval a version and its comparison with `base`.

        `base` is one of the versions, by default the largest. Of a measure, `is_rate` says that it is a share of
        sessions, `is_event` that it is of an event, and `is_score` that it is of an event's scores in detection.
        """
        counted = self._rows(_VERSIONS, scope, most=MAX_VERSIONS)
        versions = [_version(row) for row in counted]
        names = [row["version"] for row in versions]
        base = base if base is not None and base in names else next(iter(names), "")
        measures = self._measures(scope, names) if names else []
        compared = [measure | {"versions": _compared(measure["versions"], names, base)} for measure in measures]
        return {"versions": versions, "base": base, "currency": self._prices.currency, "measures": compared}

    def _measures(self, scope: Scope, versions: list[str]) -> list[Row]:
        analysed_sessions = self._rows(_SENTIMENT, scope, versions=versions)
        feedback = {row["version"]: row for row in self._rows(_FEEDBACK, scope)}
        success = {name: (row["successes"], row["successes"] + row["failures"]) for name, row in feedback.items()}
        sentiment = _scaled((row for row in analysed_sessions if row["n"]), _SCORE_UNIT)
        measures = [
            _rates("success", "Success rate", success),
            _means("sentiment", "Sentiment", sentiment),
            *self._costs(scope),
        ]
        sessions = {row["version"]: row["sessions"] for row in analysed_sessions}
        return [measure for measure in measures if measure["versions"]] + self._events(scope, sessions)

    def _costs(self, scope: Scope) -> list[Row]:
        if not self._prices.models:
            return []
        rows = self._rows(_COST, scope, **self._prices.parameters)
        return [_means("cost", "Cost per session", _scaled(rows, COST_UNIT))]

    def _events(self, scope: Scope, sessions: dict[str, int]) -> list[Row]:
        """
        Return a measure for each event, the most frequent first: the share of a version's sessions that have it.

        `sessions` is how many sessions of each version were analysed.
        """
        having: dict[str, dict[str, int]] = {}
        for row in self._rows(_EVENTS, scope, versions=list(sessions)):
            having.setdefault(row["name"], {})[row["version"]] = row["sessions"]
        names = sorted(having, key=lambda name: (-sum(having[name].values()), name))[:MAX_EVENTS]
        rates = [
            _rates(name, name, {v: (having[name].get(v, 0), n) for v, n in sessions.items()}) | {"is_event": True}
            for name in names
        ]
        return rates + self._scores(scope, names, list(sessions))

    def _scores(self, scope: Scope, names: list[str], versions: list[str]) -> list[Row]:
        """Return a measure for each of these events whose scores differ: its mean score in a session that has it."""
        of_name: dict[str, list[Row]] = {name: [] for name in names}
        for row in self._rows(_SCORES, scope, versions=versions):
            of_name.get(row["name"], []).append(row)
        measures = [
            _means(f"score of {name}", f"Score: {name}", _scaled(rows, _SCORE_UNIT)) | {"is_score": True}
            for name, rows in of_name.items()
        ]
        # Of keywords and patterns every score is 1.
        return [m for m in measures if any(bounds.lower < 1 for bounds, _ in m["versions"].values())]

    def _rows(self, sql: str, scope: Scope, **parameters: Any) -> list[Row]:
        parts = {"tasks": scope.tasks(), "cost": TASK_COST, "flagged_tasks": flagged_tasks(scope, "version_id")}
        parts["analysed"] = analysed(scope, "session_id", "version_id", "sentiment_score")
        parts["found_events"] = found_events(scope, "session_id", "version_id")
        return self._store.rows(compose(sql, **parts), scope.parameters(**parameters))


def _version(row: Row) -> Row:
    """Return the numbers of a version."""
    columns = ("version", "tasks", "sessions", "first_task_at_ms", "last_task_at_ms", "tokens")
    p50, p95 = row["latencies"]
    return with_times({name: row[name] for name in columns}) | {"latency_p50_ms": p50, "latency_p95_ms": p95}


def _rates(name: str, label: str, counts: dict[str, tuple[int, int]]) -> Row:
    """Return a measure of shares; intervals have half of alpha, so that the difference of two has all of it."""
    intervals = {v: (rate_interval(k, n, ALPHA / 2), n) for v, (k, n) in counts.items()}
    return _measure(name, label, intervals) | {"is_rate": True}


def _means(name: str, label: str, sums: dict[str, tuple[int, float, float]]) -> Row:
    intervals = {v: (mean_interval(n, total, squares, ALPHA / 2), n) for v, (n, total, squares) in sums.items()}
    return _measure(name, label, intervals)


def _measure(name: str, label: str, intervals: dict[str, tuple[Interval | None, int]]) -> Row:
    kinds = {"is_rate": False, "is_event": False, "is_score": False}
    versions = {version: (interval, n) for version, (interval, n) in intervals.items() if interval is not None}
    return {"name": name, "label": label, **kinds, "versions": versions}


def _scaled(rows: Iterable[Row], unit: int) -> dict[str, tuple[int, float, float]]:
    return {row["version"]: (row["n"], row["total"] / unit, row["squares"] / unit**2) for row in rows}


def _compared(intervals: dict[str, tuple[Interval, int]], versions: list[str], base: str) -> list[Row | None]:
    """Return the measure of each of `versions` in their order, with its difference from `base`; None for no data."""
    reference = intervals[base][0] if base in intervals else None
    return [_comparison(*intervals[v], None if v == base else reference) if v in intervals else None for v in versions]


def _comparison(interval: Interval, n: int, reference: Interval | None) -> Row:
    measure: Row = {"n": n, "estimate": interval.estimate, "lower": interval.lower, "upper": interval.upper}
    if reference is None:
        return measure | {"difference": None, "direction": ""}
    delta = difference(reference, interval)
    direction = "higher" if delta.lower > 0 else "lower" if delta.upper < 0 else "open"
    return measure | {"difference": [delta.estimate, delta.lower, delta.upper], "direction": direction}


class VersionsPage:
    """The view of the versions of the app."""

    def __init__(self, store: Store, prices: Prices) -> None:
        self._store = store
        self._versions = Versions(store, prices)
        self._trends = Trends(store)

    def views(self) -> list[View]:
        return [View("versions", "/versions", "analytics/versions.html", self.read, parameters=("base",))]

    def read(self, request: ViewRequest) -> Content:
        scope = searched(self._store, request.scope)
        comparison = self._versions.compare(scope, request.query.get("base"))
        names = [row["version"] for row in comparison["versions"]][:CHARTED_VERSIONS]
        buckets = request.buckets()
        over_time = self._trends.versions(scope, buckets, names) if len(names) > 1 else []
        return comparison | {"step_ms": buckets.step_ms, "over_time": over_time, "has_tasks": request.has_tasks}
