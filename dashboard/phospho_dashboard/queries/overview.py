"""The dashboard: what happened in a span, over time and by its parts."""

from __future__ import annotations

from typing import Any

from phospho_dashboard.filters import Scope
from phospho_dashboard.periods import Buckets
from phospho_dashboard.prices import Prices
from phospho_dashboard.queries.analysed import analysed
from phospho_dashboard.queries.judged import judged
from phospho_dashboard.times import iso_time
from phospho_store.store import Store

MAX_PARTS = 12
MAX_MODELS = 500

# GROUPING SETS: the totals in the same reading; a session or a user of two buckets is one in the totals.
_ACTIVITY = """
SELECT
    toUInt8(grouping(bucket)) AS is_total, bucket,
    count() AS tasks,
    uniqExact(session) AS sessions,
    uniqExactIf(user, user != 0) AS users,
    sum(ifNull(tokens_in, 0)) AS tokens_in,
    sum(ifNull(tokens_out, 0)) AS tokens_out,
    count(latency_ms) AS timed_tasks,
    quantilesExact(0.5, 0.95, 0.99)(latency_ms) AS latencies
FROM
(
    SELECT
        intDiv(toUnixTimestamp64Milli(created_at) - {origin_ms:Int64}, {step_ms:Int64}) AS bucket,
        cityHash64(session_id) AS session,
        if(user_id = '', 0, cityHash64(user_id)) AS user,
        tokens_in, tokens_out, latency_ms
    FROM task_rows FINAL WHERE %(tasks)s
)
GROUP BY GROUPING SETS ((bucket), ())
"""
_FINDINGS = """
SELECT
    toUInt8(grouping(bucket)) AS is_total,
    intDiv(toUnixTimestamp64Milli(created_at) - {origin_ms:Int64}, {step_ms:Int64}) AS bucket,
    sum(is_task) AS analysed_tasks,
    sum(length(names)) AS events,
    countIf(sentiment = 'positive') AS positive,
    countIf(sentiment = 'neutral') AS neutral,
    countIf(sentiment = 'negative') AS negative
FROM %(analysed)s
GROUP BY GROUPING SETS ((bucket), ())
"""
_VERDICTS = """
SELECT
    toUInt8(grouping(bucket)) AS is_total,
    intDiv(toUnixTimestamp64Milli(created_at) - {origin_ms:Int64}, {step_ms:Int64}) AS bucket,
    countIf(said = 'success') AS successes,
    countIf(said = 'failure') AS failures
FROM %(judged)s
GROUP BY GROUPING SETS ((bucket), ())
"""
_EVENTS = """
SELECT name, count() AS events, uniqExact(cityHash64(session_id)) AS sessions
FROM %(analysed)s
ARRAY JOIN names AS name
GROUP BY name ORDER BY events DESC, name LIMIT {most:UInt32}
"""
_LANGUAGES = """
SELECT toString(language) AS language, count() AS tasks
FROM analysis_rows FINAL WHERE %(analyses)s AND language != ''
GROUP BY language ORDER BY tasks DESC, language LIMIT {most:UInt32}
"""
_MODELS = """
SELECT toString(model) AS model, count() AS tasks, sum(ifNull(tokens_in, 0)) AS tokens_in,
    sum(ifNull(tokens_out, 0)) AS tokens_out, quantileExact(0.95)(latency_ms) AS latency_p95_ms
FROM task_rows FINAL WHERE %(tasks)s
GROUP BY model ORDER BY tasks DESC, model LIMIT {most:UInt32}
"""
_VERSIONS = """
SELECT toString(version_id) AS version, count() AS tasks, uniqExact(cityHash64(session_id)) AS sessions,
    quantileExact(0.5)(latency_ms) AS latency_p50_ms, quantileExact(0.95)(latency_ms) AS latency_p95_ms,
    sum(ifNull(tokens_in, 0)) + sum(ifNull(tokens_out, 0)) AS tokens
FROM task_rows FINAL WHERE %(tasks)s
GROUP BY version ORDER BY tasks DESC, version LIMIT {most:UInt32}
"""
_USERS = """
SELECT user_id AS user, count() AS tasks, uniqExact(cityHash64(session_id)) AS sessions
FROM task_rows FINAL WHERE %(tasks)s AND user_id != ''
GROUP BY user_id ORDER BY tasks DESC, user_id LIMIT {most:UInt32}
"""

Row = dict[str, Any]

_EMPTY: Row = {
    "tasks": 0, "sessions": 0, "users": 0, "tokens_in": 0, "tokens_out": 0, "timed_tasks": 0,
    "latencies": [None, None, None], "analysed_tasks": 0, "events": 0, "positive": 0, "neutral": 0, "negative": 0,
    "successes": 0, "failures": 0,
}  # fmt: skip


class Overview:
    """Reads the numbers of the dashboard."""

    def __init__(self, store: Store, prices: Prices) -> None:
        self._store = store
        self._prices = prices

    def overview(self, scope: Scope, buckets: Buckets) -> Row:
        """Return `totals`, `over_time` (a row a bucket, empty ones too), and the largest parts, each in a list."""
        totals, over_time = self._over_time(scope, buckets)
        models = [self._with_cost(row) for row in self._rows(_MODELS, scope, most=MAX_MODELS)]
        costs = [row["cost"] for row in models if row["cost"] is not None]
        return {
            "totals": totals | {"cost": sum(costs) if costs else None},
            "currency": self._prices.currency,
            "step_ms": buckets.step_ms,
            "over_time": over_time,
            "events": self._rows(_EVENTS, scope, most=MAX_PARTS),
            "languages": self._rows(_LANGUAGES, scope, most=MAX_PARTS),
            "models": models,
            "versions": self._rows(_VERSIONS, scope, most=MAX_PARTS),
            "users": self._rows(_USERS, scope, most=MAX_PARTS),
        }

    def _over_time(self, scope: Scope, buckets: Buckets) -> tuple[Row, list[Row]]:
        cut = {"origin_ms": buckets.start_ms, "step_ms": buckets.step_ms}
        facts: dict[int | None, Row] = {}
        for sql in (_ACTIVITY, _FINDINGS, _VERDICTS):
            for row in self._rows(sql, scope, **cut):
                is_total, bucket = row.pop("is_total"), row.pop("bucket")
                facts.setdefault(None if is_total else bucket, {}).update(row)
        over_time = [
            {"start_at": iso_time(start_ms), "end_at": iso_time(start_ms + buckets.step_ms)}
            | _point(facts.get(index, {}))
            for index, start_ms in enumerate(buckets.starts())
        ]
        return _point(facts.get(None, {})), over_time

    def _with_cost(self, row: Row) -> Row:
        return row | {"cost": self._prices.cost(row["model"], row["tokens_in"], row["tokens_out"])}

    def _rows(self, sql: str, scope: Scope, **parameters: Any) -> list[Row]:
        parts = {"tasks": scope.tasks(), "analyses": scope.analyses()}
        parts["judged"] = judged(scope, "created_at")
        parts["analysed"] = analysed(scope, "created_at", "session_id", "sentiment")
        return self._store.rows(sql % parts, scope.parameters(**parameters))


def _point(facts: Row) -> Row:
    """Return the numbers of a bucket or of all, zeros where there are none, latencies by name and the rate."""
    known = _EMPTY | facts
    p50, p95, p99 = known.pop("latencies")
    judged = known["successes"] + known["failures"]
    rate = known["successes"] / judged if judged else None
    return known | {"success_rate": rate, "latency_p50_ms": p50, "latency_p95_ms": p95, "latency_p99_ms": p99}
