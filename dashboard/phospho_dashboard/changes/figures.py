"""
The figures of two periods, of which each ends where the other begins: counts, and sums for intervals.

As for versions, the unit is the session, since the tasks of one depend on each other; feedback is counted by the task.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from phospho_dashboard.queries.filters import Scope, searched
from phospho_dashboard.queries.periods import Span
from phospho_dashboard.settings import Prices
from phospho_store.sql import compose
from phospho_store.sql.analysed import analysed, flagged_tasks
from phospho_store.sql.metrics import COST_UNIT, TASK_COST
from phospho_store.sql.themes import theme_of
from phospho_store.store import Store

_MAX_NAMES = 100
_IS_NOW = "created_at >= fromUnixTimestamp64Milli({middle_ms:Int64}) AS is_now"
_IS_PRICED = "countIf(NOT has({models:Array(String)}, toString(model))) = 0"
# Sums of integers, which no order of the rows changes. A mean of logarithms stands for a latency, as a few slow tasks
# would hide a change of all others.
_UNIT = 10_000
_SESSIONS = f"""
SELECT is_now, count() AS sessions, sum(session_tasks) AS tasks,
    countIf(is_timed) AS timed, sumIf(log_latency, is_timed) AS latency_sum,
    toFloat64(sumIf(toInt128(log_latency) * log_latency, is_timed)) AS latency_squares,
    countIf(is_priced) AS priced, toFloat64(sumIf(toInt128(cost), is_priced)) AS cost_sum,
    toFloat64(sumIf(toInt128(cost) * cost, is_priced)) AS cost_squares
FROM
(
    SELECT {_IS_NOW}, count() AS session_tasks, count(latency_ms) > 0 AS is_timed,
        ifNull(toInt64(round(avg(toInt32(round({_UNIT} * log(greatest(latency_ms, 0.1))))))), 0) AS log_latency,
        sum({TASK_COST}) AS cost, {_IS_PRICED} AS is_priced
    FROM task_rows FINAL WHERE $tasks
    GROUP BY is_now, cityHash64(session_id)
)
GROUP BY is_now
"""
_SENTIMENT = f"""
SELECT is_now, count() AS sessions, countIf(is_felt) AS felt, sum(score) AS sentiment_sum,
    toFloat64(sum(toInt128(score) * score)) AS sentiment_squares
FROM
(
    SELECT {_IS_NOW}, count(sentiment_score) > 0 AS is_felt,
        ifNull(toInt64(round(avg(toInt32(round(sentiment_score * {_UNIT}))))), 0) AS score
    FROM $analysed
    GROUP BY is_now, cityHash64(session_id)
)
GROUP BY is_now
"""
_EVENTS = f"""
SELECT is_now, name, uniqExact(session) AS sessions
FROM (SELECT {_IS_NOW}, cityHash64(session_id) AS session, toString(arrayJoin(names)) AS name FROM $analysed)
GROUP BY is_now, name ORDER BY sessions DESC, name LIMIT {_MAX_NAMES} BY is_now
"""
_THEMES = f"""
SELECT {_IS_NOW}, $theme AS name, uniqExact(cityHash64(session_id)) AS sessions
FROM analysis_rows FINAL WHERE $analyses
GROUP BY is_now, name HAVING name != '' ORDER BY sessions DESC, name LIMIT {_MAX_NAMES} BY is_now
"""
_FEEDBACK = f"""
SELECT {_IS_NOW}, countIf(flag = 'success') AS successes, countIf(flag != '') AS judged FROM $flagged_tasks
GROUP BY is_now
"""
_VERSIONS = f"""
SELECT {_IS_NOW}, toString(version_id) AS name, count() AS tasks
FROM task_rows FINAL WHERE $tasks AND version_id != ''
GROUP BY is_now, name ORDER BY tasks DESC, name LIMIT {_MAX_NAMES} BY is_now
"""

Row = dict[str, Any]


class Mean(NamedTuple):
    """The number of values, their sum and the sum of their squares."""

    size: int
    total: float
    squares: float


_NO_VALUES = Mean(0, 0, 0)


@dataclass(frozen=True)
class Figures:
    """The figures of one period. `analysed_sessions` are what the sessions of events and themes are a part of."""

    sessions: int = 0
    tasks: int = 0
    analysed_sessions: int = 0
    successes: int = 0
    judged_tasks: int = 0
    log_latency: Mean = _NO_VALUES
    cost: Mean = _NO_VALUES
    sentiment: Mean = _NO_VALUES
    events: Mapping[str, int] = field(default_factory=dict)
    themes: Mapping[str, int] = field(default_factory=dict)
    versions: Mapping[str, int] = field(default_factory=dict)


class FiguresReader:
    """Reads figures. Blocking; raises what the store raises."""

    def __init__(self, store: Store, prices: Prices) -> None:
        self._store = store
        self._prices = prices

    def both(self, before: Scope, now: Scope) -> tuple[Figures, Figures]:
        """Return the figures of two periods of the same tasks, the earlier one first."""
        whole = searched(self._store, replace(now, span=Span(before.span.start_ms, now.span.end_ms)))
        parts = {
            "tasks": whole.tasks(),
            "analyses": whole.analyses(),
            "theme": theme_of(),
            "flagged_tasks": flagged_tasks(whole, "created_at"),
        }

        def rows(sql: str, *columns: str) -> list[Row]:
            of_analyses = (
                {"analysed": analysed(whole, "created_at", "session_id", *columns)} if "$analysed" in sql else {}
            )
            parameters = whole.parameters(middle_ms=now.span.start_ms, **self._prices.parameters)
            return self._store.rows(compose(sql, **parts, **of_analyses), parameters)

        sessions, sentiment, feedback = (
            {row["is_now"]: row for row in found_rows}
            for found_rows in (rows(_SESSIONS), rows(_SENTIMENT, "sentiment_score"), rows(_FEEDBACK))
        )
        counts = [_by_period(found_rows) for found_rows in (rows(_EVENTS), rows(_THEMES), rows(_VERSIONS))]
        older, newer = (
            _figures(
                sessions.get(period), sentiment.get(period), feedback.get(period), [names[period] for names in counts]
            )
            for period in (0, 1)
        )
        return older, newer


def _by_period(rows: Iterable[Row]) -> dict[int, dict[str, int]]:
    counts: dict[int, dict[str, int]] = defaultdict(dict)
    for row in rows:
        counts[row["is_now"]][row["name"]] = row["sessions"] if "sessions" in row else row["tasks"]
    return counts


def _figures(sessions: Row | None, sentiment: Row | None, feedback: Row | None, names: list[dict[str, int]]) -> Figures:
    figures = Figures(events=names[0], themes=names[1], versions=names[2])
    if sessions is not None:
        latency = _mean(sessions, "timed", "latency", _UNIT)
        cost = _mean(sessions, "priced", "cost", COST_UNIT)
        counts = {name: sessions[name] for name in ("sessions", "tasks")}
        figures = replace(figures, **counts, log_latency=latency, cost=cost)
    if sentiment is not None:
        mean = _mean(sentiment, "felt", "sentiment", _UNIT)
        figures = replace(figures, analysed_sessions=sentiment["sessions"], sentiment=mean)
    if feedback is not None:
        figures = replace(figures, successes=feedback["successes"], judged_tasks=feedback["judged"])
    return figures


def _mean(row: Row, count: str, name: str, unit: int) -> Mean:
    return Mean(row[count], row[f"{name}_sum"] / unit, row[f"{name}_squares"] / unit**2)
