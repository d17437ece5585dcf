"""The dashboard page: the numbers of a span, over time and by its parts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from phospho_dashboard.analytics.trends import bucket_times
from phospho_dashboard.layout.views import Content, View, ViewRequest
from phospho_dashboard.queries.filters import Scope, searched
from phospho_dashboard.queries.periods import Buckets, Span
from phospho_dashboard.settings import Prices
from phospho_store.registry.registry import Registry
from phospho_store.rollups.coverage import SEALED, Coverage, CoverageReader
from phospho_store.sql import compose
from phospho_store.sql.rollups import (
    ACTIVITY,
    EVENTS,
    FEEDBACK,
    FINDINGS,
    HOUR_MS,
    HOUR_START_MS,
    USERS,
    Dimension,
)
from phospho_store.store import Store

MAX_PARTS = 12
# Beyond it, everything is read from facts: a deletion has opened hours during each reading.
_MAX_READINGS = 2
# Of one grouping set: models whose cost is summed, versions, languages; buckets are fewer.
MAX_ROWS = 500

# One reading for each dimension: GROUPING SETS count a session or a user of two buckets, models or versions once in
# each and once in the totals. `level` has a bit for each column that a row is not of. Quantiles are of latencies
# without the last bits, up to 1 part in 128 too low: no order of the rows changes them.
_ACTIVITY = """
SELECT
    grouping(period, model, version) AS level, period AS bucket, model, version,
    sum(tasks) AS tasks,
    uniqExactArray(sessions) AS sessions,
    uniqExactArray(users) AS users,
    sum(tokens_in) AS tokens_in,
    sum(tokens_out) AS tokens_out,
    sumArray(latency_counts) AS timed_tasks,
    quantilesBFloat16WeightedArray(0.5, 0.95, 0.99)(latencies, latency_counts) AS latencies
FROM $cells
GROUP BY GROUPING SETS ((period), (model), (version), ())
ORDER BY tasks DESC, model, version LIMIT {most:UInt32} BY level
"""
_BUCKET, _MODEL, _VERSION, _ALL = 0b011, 0b101, 0b110, 0b111
_FINDINGS = """
SELECT
    grouping(period, language) AS level, period AS bucket, language,
    sum(analysed_tasks) AS analysed_tasks,
    sum(events) AS events,
    sum(positive) AS positive,
    sum(neutral) AS neutral,
    sum(negative) AS negative
FROM $cells
GROUP BY GROUPING SETS ((period), (language), ())
ORDER BY analysed_tasks DESC, language LIMIT {most:UInt32} BY level
"""
_BUCKET_OF_FINDINGS, _LANGUAGE, _ALL_FINDINGS = 0b01, 0b10, 0b11
_FEEDBACK = """
SELECT grouping(period) AS level, period AS bucket, sum(successes) AS successes, sum(failures) AS failures
FROM $cells
GROUP BY GROUPING SETS ((period), ())
ORDER BY bucket LIMIT {most:UInt32} BY level
"""
_BUCKET_OF_FEEDBACK, _ALL_FEEDBACK = 0b0, 0b1
# Of the models with a price, where there are more models than are listed.
_PRICED = """
SELECT toString(model) AS model, sum(ifNull(tokens_in, 0)) AS tokens_in, sum(ifNull(tokens_out, 0)) AS tokens_out
FROM task_rows FINAL WHERE $tasks AND model IN {models:Array(String)}
GROUP BY model
"""
_EVENTS = """
SELECT name, sum(events) AS events, uniqExactArray(sessions) AS sessions
FROM $cells
GROUP BY name ORDER BY events DESC, name LIMIT {most:UInt32}
"""
_USERS = """
SELECT user, sum(tasks) AS tasks, uniqExactArray(sessions) AS sessions
FROM $cells
GROUP BY user ORDER BY tasks DESC, user LIMIT {most:UInt32}
"""

Row = dict[str, Any]

_EMPTY: Row = {
    "tasks": 0, "sessions": 0, "users": 0, "tokens_in": 0, "tokens_out": 0, "timed_tasks": 0,
    "latencies": [None, None, None], "analysed_tasks": 0, "events": 0, "positive": 0, "neutral": 0, "negative": 0,
    "successes": 0, "failures": 0,
}  # fmt: skip


class Overview:
    """Read the numbers of the dashboard. Blocking."""

    def __init__(self, store: Store, prices: Prices) -> None:
        self._store = store
        self._prices = prices
        self._rollups = CoverageReader(store)

    def read(self, scope: Scope, buckets: Buckets) -> Row:
        """Return `totals`, `over_time` (a row a bucket, empty ones too), and the largest parts, each in a list."""
        for _ in range(_MAX_READINGS):
            coverage = self._coverage(scope, buckets)
            numbers = self._numbers(_Cells(scope, buckets, coverage))
            if coverage is None or self._rollups.is_sealed(scope.project_id, coverage):
                return numbers
        return self._numbers(_Cells(scope, buckets, None))

    def _numbers(self, cells: _Cells) -> Row:
        buckets = cells.buckets
        activity, findings, feedback = (
            _by_level(self._rows(sql, cells, dimension, MAX_ROWS))
            for sql, dimension in ((_ACTIVITY, ACTIVITY), (_FINDINGS, FINDINGS), (_FEEDBACK, FEEDBACK))
        )
        totals = _only(activity[_ALL]) | _only(findings[_ALL_FINDINGS]) | _only(feedback[_ALL_FEEDBACK])
        over_time = (activity[_BUCKET], findings[_BUCKET_OF_FINDINGS], feedback[_BUCKET_OF_FEEDBACK])
        models = [self._with_cost(_model(row)) for row in activity[_MODEL]]
        return {
            "totals": _point(totals) | {"cost": self._total_cost(cells.scope, models)},
            "currency": self._prices.currency,
            "step_ms": buckets.step_ms,
            "over_time": _over_time(buckets, *over_time),
            "events": self._rows(_EVENTS, cells, EVENTS, MAX_PARTS),
            "languages": _languages(findings[_LANGUAGE]),
            "models": models,
            "versions": [_version(row) for row in activity[_VERSION][:MAX_PARTS]],
            "users": self._rows(_USERS, cells, USERS, MAX_PARTS),
        }

    def _total_cost(self, scope: Scope, models: Sequence[Row]) -> float | None:
        """Return what all models with a price cost, None without one; `models` are the first MAX_ROWS."""
        if len(models) == MAX_ROWS and self._prices.models:
            sql = compose(_PRICED, tasks=scope.tasks())
            rows = self._store.rows(sql, scope.parameters(models=list(self._prices.models)))
            models = [self._with_cost(row) for row in rows]
        costs = [row["cost"] for row in models if row["cost"] is not None]
        return sum(costs) if costs else None

    def _with_cost(self, row: Row) -> Row:
        return row | {"cost": self._prices.cost(row["model"], row["tokens_in"], row["tokens_out"])}

    def _rows(self, sql: str, cells: _Cells, dimension: Dimension, most: int) -> list[Row]:
        return self._store.rows(compose(sql, cells=cells.sql(dimension)), cells.parameters(most=most))

    def _coverage(self, scope: Scope, buckets: Buckets) -> Coverage | None:
        """Return which hours are taken from rollups; None where filters or short buckets leave none."""
        if scope.filters.narrowing() or scope.task_ids is not None or buckets.step_ms < HOUR_MS:
            return None
        span = (scope.span.start_ms, scope.span.end_ms)
        return self._rollups.coverage(scope.project_id, span, buckets.starts, scope.corrections)


@dataclass(frozen=True)
class _Cells:
    """The cells of a scope by bucket: from rollups as far as `coverage` reaches, and from facts."""

    scope: Scope
    buckets: Buckets
    coverage: Coverage | None

    def sql(self, dimension: Dimension) -> str:
        """Return the subquery of the cells of a dimension."""
        if self.coverage is None:
            return f"({dimension.cells(self.scope, self.buckets.sql)})"
        cells = [dimension.stored_cells(SEALED, self.buckets.index_of(HOUR_START_MS))]
        if self.coverage.fact_ranges:
            cells.append(dimension.cells(self.scope.of_ranges(self.coverage.fact_ranges), self.buckets.sql))
        return f"({' UNION ALL '.join(cells)})"

    def parameters(self, **others: Any) -> dict[str, Any]:
        """Return the parameters of the subqueries, and `others`."""
        scope, hours = self.scope, {}
        if self.coverage is not None:
            scope, hours = scope.of_ranges(self.coverage.fact_ranges), self.coverage.parameters
        return scope.parameters(**self.buckets.parameters, **hours, **others)


def _by_level(rows: Iterable[Row]) -> defaultdict[int, list[Row]]:
    """Return the rows of each grouping set, in their order."""
    levels: defaultdict[int, list[Row]] = defaultdict(list)
    for row in rows:
        levels[row["level"]].append(row)
    return levels


def _over_time(buckets: Buckets, *series: Iterable[Row]) -> list[Row]:
    """Return a row a bucket, with the columns of all `series`."""
    points: defaultdict[int, Row] = defaultdict(dict)
    for row in chain.from_iterable(series):
        points[row["bucket"]].update(row)
    return [bucket_times(bucket) | _point(points[index]) for index, bucket in enumerate(buckets)]


def _only(rows: Sequence[Row]) -> Row:
    return rows[0] if rows else {}


def _model(row: Row) -> Row:
    columns = {name: row[name] for name in ("model", "tasks", "tokens_in", "tokens_out")}
    return columns | {"latency_p95_ms": row["latencies"][1]}


def _version(row: Row) -> Row:
    p50, p95, _ = row["latencies"]
    columns = {name: row[name] for name in ("version", "tasks", "sessions")}
    return columns | {"latency_p50_ms": p50, "latency_p95_ms": p95, "tokens": row["tokens_in"] + row["tokens_out"]}


def _languages(rows: Iterable[Row]) -> list[Row]:
    """Return the most frequent languages. An empty name is that of tasks whose language is unknown."""
    languages = [{"language": row["language"], "tasks": row["analysed_tasks"]} for row in rows if row["analysed_tasks"]]
    return languages[:MAX_PARTS]


def _point(numbers: Row) -> Row:
    """Return the numbers of a bucket or of all, with zeros for missing ones, latencies by name, and the rate."""
    point: Row = {name: numbers.get(name, default) for name, default in _EMPTY.items()}
    p50, p95, p99 = point.pop("latencies")
    judged_tasks = point["successes"] + point["failures"]
    rate = point["successes"] / judged_tasks if judged_tasks else None
    latencies = {"latency_p50_ms": p50, "latency_p95_ms": p95, "latency_p99_ms": p99}
    return point | {"judged_tasks": judged_tasks, "success_rate": rate} | latencies


# Return what changed against the period before.
ChangesReader = Callable[[ViewRequest], Content]
# Return the freshness of a project at a time, and the number of dead letters of projects in a span.
FreshnessReader = Callable[[str, int], Row]
DeadLetterCounter = Callable[[list[str], Span], int]


class OverviewPage:
    """The view of the dashboard, with the freshness of the data."""

    def __init__(
        self,
        store: Store,
        registry: Registry,
        prices: Prices,
        *,
        changes: ChangesReader,
        freshness: FreshnessReader,
        count_dead_letters: DeadLetterCounter,
    ) -> None:
        self._store = store
        self._registry = registry
        self._overview = Overview(store, prices)
        self._changes = changes
        self._freshness = freshness
        self._count_dead_letters = count_dead_letters

    def views(self) -> list[View]:
        return [View("dashboard", "/", "analytics/dashboard.html", self.read, api_path="/dashboard")]

    def read(self, request: ViewRequest) -> Content:
        numbers = self._overview.read(searched(self._store, request.scope), request.buckets())
        fresh = self._freshness(request.project_id, request.now_ms)
        dead_letters = self._count_dead_letters(list(request.readable_projects), request.scope.span)
        return numbers | {
            **self._changes(request),
            "freshness": fresh | {"dead_letters": dead_letters},
            "has_tasks": request.has_tasks,
            "has_definitions": bool(self._registry.definitions(request.project_id)),
        }
