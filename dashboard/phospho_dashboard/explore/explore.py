"""Explore: the numbers of one chart, in total, by value and over time, and the SQL of them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from phospho_dashboard.analytics.trends import bucket_times
from phospho_dashboard.explore.charts import Chart
from phospho_dashboard.explore.shown_sql import chart_sql, grafana_panel
from phospho_dashboard.layout.views import Content, ViewRequest
from phospho_dashboard.queries.facets import Facets
from phospho_dashboard.queries.filters import Scope, searched
from phospho_dashboard.queries.intervals import interval_buckets
from phospho_dashboard.queries.periods import Buckets
from phospho_dashboard.settings import Prices
from phospho_dashboard.web.languages import language_name
from phospho_store.sql import compose
from phospho_store.sql.metric_rows import fact_rows
from phospho_store.sql.metrics import DIMENSIONS, METRICS, OTHER, Question
from phospho_store.store import Store

_TIMEOUT_S = 20
_MAX_MEMORY_BYTES = 2_000_000_000
_WITH_LIMITS = f"""
SELECT $columns FROM ($question) SETTINGS max_execution_time = {_TIMEOUT_S}, max_memory_usage = {_MAX_MEMORY_BYTES},
"""
_START_MS = "toInt64(toUnixTimestamp(time)) * 1000 AS start_ms, * EXCEPT time"
# Keys of the newest tasks.
_KEYS = """
SELECT arrayJoin(JSONAllPaths(metadata)) AS path, count() AS tasks
FROM (SELECT metadata FROM task_rows WHERE project_id = {project:String} ORDER BY task_id DESC LIMIT 500)
GROUP BY path ORDER BY tasks DESC, path LIMIT 100
"""

Row = dict[str, Any]


class Explore:
    """Reads charts. Blocking; raises what the store raises."""

    def __init__(self, store: Store, prices: Prices) -> None:
        self._store = store
        self._prices = prices
        self._facets = Facets(store)

    def read(self, request: ViewRequest, chart: Chart) -> Content:
        """
        Return the `total` of a chart, its `rows` by value, and `over_time` with a number for each of the `series`.

        Where something is `missing`, there are no numbers.
        """
        missing = chart.missing or self._missing_price(chart)
        metric = METRICS[chart.metric]
        about = {
            "chart": chart.query() | {"metric": chart.metric, "chart": chart.chart},
            "metric": {
                "name": metric.name,
                "label": metric.label,
                "unit": metric.unit,
                "cases": metric.case_noun,
                "by_label": DIMENSIONS[chart.by].label if chart.by else "",
            },
            "currency": self._prices.currency,
            "missing": missing,
        }
        if missing:
            nothing: Content = {"total": None, "rows": [], "series": [], "over_time": [], "interval": "", "step_ms": 0}
            return about | nothing | {"sql": "", "grafana": None, "is_shorter_than_allowed": False}
        return about | self._numbers(request, chart)

    def metadata_keys(self, project_id: str) -> list[str]:
        """Return the metadata keys of the newest tasks, the most frequent first."""
        return [row["path"] for row in self._store.rows(_KEYS, {"project": project_id})]

    def titles(self, project_id: str) -> dict[str, str]:
        """Return the titles of the themes by id."""
        return self._facets.themes(project_id)

    def _missing_price(self, chart: Chart) -> str:
        has_price = chart.metric != "cost" or self._prices.models
        return "" if has_price else "No model has a price. Start with --prices, a file of prices"

    def _numbers(self, request: ViewRequest, chart: Chart) -> Content:
        scope, zone = searched(self._store, request.scope), request.zone.key
        interval, buckets = interval_buckets(
            chart.interval, scope.span, request.extent, now_ms=request.now_ms, zone=request.zone
        )
        shown = chart.question(zone, interval if chart.is_over_time else "")
        titles = self.titles(request.project_id) if chart.by == "theme" else {}
        parts = self._rows(replace(shown, interval=""), scope) if chart.by else []
        parts.sort(key=lambda row: (row["value"] == OTHER, -(row[chart.metric] or 0), row["value"]))
        [total] = self._rows(chart.question(zone, is_total=True), scope)
        series = [row["value"] for row in parts] if chart.by else [""]
        over_time = self._rows(shown, scope) if chart.is_over_time else []
        return {
            "total": {"number": total[chart.metric], "cases": total["cases"]},
            "rows": [
                {"value": row["value"], "label": _label(chart, row["value"], titles)}
                | {"number": row[chart.metric], "cases": row["cases"]}
                for row in parts
            ],
            "interval": interval if chart.is_over_time else "",
            "is_shorter_than_allowed": chart.is_over_time and chart.interval not in ("", interval),
            "step_ms": buckets.step_ms,
            "series": [{"value": value, "label": _label(chart, value, titles)} for value in series],
            "over_time": _over_time(over_time, chart, buckets, series) if chart.is_over_time else [],
            "sql": chart_sql(shown, request.scope, self._costs(shown)),
            "grafana": grafana_panel(METRICS[chart.metric].label, shown, request.scope, self._costs(shown)),
        }

    def _rows(self, question: Question, scope: Scope) -> list[Row]:
        sql = question.sql(fact_rows(scope, question.columns))
        columns = _START_MS if question.interval else "*"
        limited = compose(_WITH_LIMITS, columns=columns, question=sql).strip().removesuffix(",")
        return self._store.rows(limited, scope.parameters(**question.parameters, **self._costs(question)))

    def _costs(self, question: Question) -> dict[str, Any]:
        return self._prices.parameters if question.metric == "cost" else {}


def _over_time(rows: Sequence[Row], chart: Chart, buckets: Buckets, series: Sequence[str]) -> list[Row]:
    """Return a row a bucket, empty ones too, with a number and its cases for each of the series."""
    is_count = METRICS[chart.metric].unit == "count"
    indexes = {value: index for index, value in enumerate(series)}
    points = [
        bucket_times(bucket) | {"numbers": [0 if is_count else None] * len(series), "cases": [0] * len(series)}
        for bucket in buckets
    ]
    for row in rows:
        place_of_time = bisect_right(buckets.starts, row["start_ms"]) - 1
        series_index = indexes.get(row.get("value", ""))
        if 0 <= place_of_time < buckets.count and series_index is not None:
            points[place_of_time]["numbers"][series_index] = row[chart.metric]
            points[place_of_time]["cases"][series_index] = row["cases"]
    if chart.question("UTC").is_own_share:
        _fill_shares(points)
    return points


def _fill_shares(points: Sequence[Row]) -> None:
    """Let a part that did not occur have a share of 0 of the cases that its time has."""
    for point in points:
        cases = max(point["cases"], default=0)
        if cases:
            point["numbers"] = [number or 0.0 for number in point["numbers"]]
            point["cases"] = [cases] * len(point["cases"])


def _label(chart: Chart, value: str, titles: dict[str, str]) -> str:
    """Return how a value of the breakdown reads."""
    if not chart.by:
        return METRICS[chart.metric].label
    if value == OTHER:
        return "Other"
    if chart.by == "theme":
        return titles.get(value, value) or "No theme"
    if not value:
        return {"flag": "No feedback", "metadata": "Not set"}.get(chart.by, f"No {DIMENSIONS[chart.by].label.lower()}")
    return language_name(value) if chart.by == "language" else value
