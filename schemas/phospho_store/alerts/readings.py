"""Readings of an alert's metric over windows that begin a step apart: that of now, or those of a month."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from phospho_schemas.rows.alerts import Alert
from phospho_store.alerts.rules import is_total
from phospho_store.annotations.corrections import read_corrections
from phospho_store.sql import compose
from phospho_store.sql.metric_rows import ProjectSpan, fact_rows
from phospho_store.sql.metrics import Question
from phospho_store.store import Store

_STEP = "intDiv(toUnixTimestamp64Milli(created_at) - {start_ms:Int64}, {step_ms:Int64})"
# A task is in the windows that begin at its step, or up to a window before.
_WINDOWS = """
SELECT window_number, toFloat64($value) AS value, toUInt64($cases) AS cases
FROM
(
    SELECT *, arrayJoin(range(
        toUInt32(greatest($step - {steps:Int64} + 1, 0)), toUInt32(least($step + 1, {windows:Int64}))
    )) AS window_number
    FROM $rows
)
GROUP BY window_number
SETTINGS max_execution_time = 30
"""
_NO_PRICES: Mapping[str, Any] = {"models": [], "prices_in": [], "prices_out": []}


@dataclass(frozen=True)
class Reading:
    """
    A metric over the window that ends at a time, of how many cases; and over the window before, its baseline.

    None is the value of a rate without a case. `theme` is set where an alert fires for each theme.
    """

    evaluated_at: datetime
    value: float | None
    cases: int = 0
    baseline: float | None = None
    baseline_cases: int = 0
    theme: str = ""


class ReadingReader:
    """
    Reads metrics, except those of THEME_FACTS. Blocking; raises what the store raises.

    `price_parameters` are those that the SQL of a cost takes; without them every task costs nothing.
    """

    def __init__(self, store: Store, price_parameters: Mapping[str, Any]) -> None:
        self._store = store
        self._price_parameters = price_parameters or _NO_PRICES

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
        nothing = (0.0 if is_total(alert.metric) else None, 0)
        readings = []
        for number in range(steps, windows):
            (value, cases), (baseline, baseline_cases) = (points.get(n, nothing) for n in (number, number - steps))
            at = datetime.fromtimestamp((start_ms + number * alert.step_ms + alert.window_ms) / 1000, UTC)
            readings.append(Reading(at, value, cases, baseline=baseline, baseline_cases=baseline_cases))
        return readings

    def _points(self, alert: Alert, start_ms: int, end_ms: int, windows: int) -> dict[int, tuple[float | None, int]]:
        """Return the value and the cases of each window in which something was logged."""
        corrections, _ = read_corrections(self._store, alert.project_id)
        scope = ProjectSpan(alert.project_id, start_ms, end_ms, corrections)
        question = Question(alert.metric, event=alert.subject, theme=alert.subject)
        value, cases = question.number()
        rows = fact_rows(scope, question.columns | {"created_at"}, alert.filters)
        steps = {"step_ms": alert.step_ms, "steps": alert.window_ms // alert.step_ms, "windows": windows}
        prices = self._price_parameters if alert.metric == "cost" else {}
        parameters = scope.parameters(**question.parameters, **alert.filters, **steps, **prices)
        points = self._store.rows(compose(_WINDOWS, step=_STEP, value=value, cases=cases, rows=rows), parameters)
        return {row["window_number"]: (row["value"], int(row["cases"])) for row in points}
