"""Readings of an alert's metric over windows that begin a step apart: that of now, or those of a month."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from phospho_schemas.alerts import Alert, Metric
from phospho_store.alerts.states import Reading
from phospho_store.annotations.corrections import read_corrections
from phospho_store.sql import compose
from phospho_store.sql.analysed import TaskScope, analysed, flagged_tasks
from phospho_store.sql.corrections import Corrections
from phospho_store.sql.feedback import feedback_of_span
from phospho_store.sql.themes import theme_of
from phospho_store.store import Store

# Of a million tokens in and out, by model.
PricesByModel = Mapping[str, tuple[float, float]]

_STEP = "intDiv(toUnixTimestamp64Milli(created_at) - {start_ms:Int64}, {step_ms:Int64})"
# A task is in the windows that begin at its step, or up to a window before.
_WINDOWS = f"""
SELECT
    arrayJoin(range(
        toUInt32(greatest({_STEP} - {{steps:Int64}} + 1, 0)), toUInt32(least({_STEP} + 1, {{windows:Int64}}))
    )) AS number,
    toFloat64($value) AS value, toUInt64($cases) AS cases
FROM $rows
GROUP BY number
"""
_TASKS = "(SELECT created_at, latency_ms, tokens_in, tokens_out, model FROM task_rows FINAL WHERE $tasks)"
_ANALYSES = "(SELECT created_at, sentiment, $theme AS counted_theme FROM analysis_rows FINAL WHERE $analyses)"
_COST = " + ".join(
    f"sum(ifNull({tokens}, 0) * transform(toString(model), {{models:Array(String)}}, {{{prices}:Array(Float64)}}, 0.))"
    for tokens, prices in (("tokens_in", "prices_in"), ("tokens_out", "prices_out"))
)


def _task_rows(scope: TaskScope) -> str:
    return compose(_TASKS, tasks=scope.tasks())


def _analysis_rows(scope: TaskScope) -> str:
    return compose(_ANALYSES, analyses=scope.analyses(), theme=theme_of())


def _event_rows(scope: TaskScope) -> str:
    return analysed(scope, "created_at")


def _flagged_rows(scope: TaskScope) -> str:
    return flagged_tasks(scope, "created_at")


@dataclass(frozen=True)
class _Query:
    """A metric over `rows`, the subquery of a scope: the expressions of its value and its number of cases."""

    rows: Callable[[TaskScope], str]
    value: str
    cases: str = "count()"


def _percentile(level: float) -> _Query:
    return _Query(_task_rows, f"quantileExact({level})(latency_ms)", "countIf(latency_ms IS NOT NULL)")


_WITH_EVENT, _ANALYSED = "countIf(has(names, {subject:String}))", "countIf(is_task = 1)"
_QUERIES: Mapping[Metric, _Query] = {
    "tasks": _Query(_task_rows, "count()"),
    "success_rate": _Query(_flagged_rows, "countIf(flag = 'success') / count()"),
    "feedback": _Query(_flagged_rows, "count()"),
    "events": _Query(_event_rows, _WITH_EVENT, _WITH_EVENT),
    "event_rate": _Query(_event_rows, f"{_WITH_EVENT} / {_ANALYSED}", _ANALYSED),
    "theme_share": _Query(_analysis_rows, "countIf(counted_theme = {subject:String}) / count()"),
    "negative_share": _Query(
        _analysis_rows, "countIf(sentiment = 'negative') / countIf(sentiment != '')", "countIf(sentiment != '')"
    ),
    "latency_p50": _percentile(0.5),
    "latency_p95": _percentile(0.95),
    "latency_p99": _percentile(0.99),
    "tokens": _Query(_task_rows, "sum(ifNull(tokens_in, 0)) + sum(ifNull(tokens_out, 0))"),
    "cost": _Query(_task_rows, f"({_COST}) / 1000000"),
}

_OF_BOTH = {"version": "version_id = {version:String}", "user": "user_id = {user:String}"}
_OF_TASKS = {"model": "model = {model:String}"}
_OF_ANALYSES = {"language": "language = {language:String}"}
_OF_SPAN = """project_id = {project:String} AND created_at >= fromUnixTimestamp64Milli({start_ms:Int64})
    AND created_at < fromUnixTimestamp64Milli({end_ms:Int64})"""


@dataclass(frozen=True)
class AlertScope:
    """The tasks of a project within a span that pass the filters of an alert, as conditions on each table."""

    filters: Mapping[str, str]
    corrections: Corrections

    def tasks(self) -> str:
        return self._condition("task_rows")

    def analyses(self) -> str:
        return self._condition("analysis_rows")

    def session_analyses(self) -> str:
        return self._condition("session_analysis_rows")

    def of_span(self) -> str:
        return _OF_SPAN

    def feedback(self) -> str:
        return feedback_of_span(_OF_SPAN)

    def _condition(self, table: str) -> str:
        shared = [_OF_SPAN, *self._of(_OF_BOTH)]
        conditions = list(shared)
        for owner, of_owner in (("task_rows", _OF_TASKS), ("analysis_rows", _OF_ANALYSES)):
            own = self._of(of_owner)
            if own and owner != table:
                own = [f"task_id IN (SELECT task_id FROM {owner} FINAL WHERE {' AND '.join(shared + own)})"]
            conditions += own
        return " AND ".join(conditions)

    def _of(self, conditions: Mapping[str, str]) -> list[str]:
        return [condition for name, condition in conditions.items() if name in self.filters]


class ReadingReader:
    """Reads metrics, except those of THEME_FACTS. Blocking; raises what the store raises."""

    def __init__(self, store: Store, prices: PricesByModel) -> None:
        self._store = store
        self._prices = prices

    def reading(self, alert: Alert, at: datetime) -> Reading:
        """Return the reading of the window that ends at a time."""
        [reading] = self.readings(alert, at, 1)
        return reading

    def readings(self, alert: Alert, last_at: datetime, count: int) -> list[Reading]:
        """Return the readings of `count` windows, the last of which ends at `last_at`, in their order."""
        # Each window has one before it, for the baseline.
        steps = alert.window_ms // alert.step_ms
        windows = count + steps
        end_ms = round(last_at.timestamp() * 1000)
        start_ms = end_ms - alert.window_ms - (windows - 1) * alert.step_ms
        points = self._points(alert, start_ms, end_ms, windows)
        nothing = (0.0 if alert.spec.is_total else None, 0)
        readings = []
        for number in range(steps, windows):
            (value, cases), (baseline, baseline_cases) = (points.get(n, nothing) for n in (number, number - steps))
            at = datetime.fromtimestamp((start_ms + number * alert.step_ms + alert.window_ms) / 1000, UTC)
            readings.append(Reading(at, value, cases, baseline, baseline_cases))
        return readings

    def _points(
        self, alert: Alert, start_ms: int, end_ms: int, windows: int
    ) -> dict[int, tuple[float | None, int]]:
        """Return the value and the cases of each window with a row."""
        corrections, _ = read_corrections(self._store, alert.project_id)
        query, scope = _QUERIES[alert.metric], AlertScope(alert.filters, corrections)
        sql = compose(_WINDOWS, value=query.value, cases=query.cases, rows=query.rows(scope))
        models = list(self._prices) if alert.metric == "cost" else []
        parameters: dict[str, Any] = {
            "project": alert.project_id,
            "subject": alert.subject,
            "start_ms": start_ms,
            "end_ms": end_ms,
            "step_ms": alert.step_ms,
            "steps": alert.window_ms // alert.step_ms,
            "windows": windows,
            "models": models,
            "prices_in": [self._prices[model][0] for model in models],
            "prices_out": [self._prices[model][1] for model in models],
            **alert.filters,
        }
        rows = self._store.rows(sql, parameters)
        return {row["number"]: _point(row, is_total=alert.spec.is_total) for row in rows}


def _point(row: Mapping[str, Any], *, is_total: bool) -> tuple[float | None, int]:
    """Return the value and the cases of a window; a rate without a case has no value."""
    cases = int(row["cases"])
    return row["value"] if cases or is_total else None, cases
