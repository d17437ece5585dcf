"""Previews: how often an alert would have fired in the last 30 days."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from phospho_dashboard.services import Services
from phospho_schemas.rows.alerts import THEME_FACTS, Alert, AlertEvaluation, last_due
from phospho_schemas.times import utc_text
from phospho_store.alerts.readings import Reading, ReadingReader
from phospho_store.alerts.states import evaluations
from phospho_store.alerts.texts import cases_text, condition_text, value_text
from phospho_store.alerts.theme_readings import ThemeReadings

DAYS = 30
_MAX_SHOWN = 10
_MAX_POINTS = 120
_DAY_MS = 86_400_000

Row = dict[str, Any]


class AlertPreview:
    """Evaluates an alert over past tasks, as the job would have. Blocks for seconds; raises what the store raises."""

    def __init__(self, services: Services) -> None:
        self._now_ms = services.store.now_ms
        self._readings = ReadingReader(services.store, services.settings.prices.parameters)
        self._themes = ThemeReadings(services.store)

    def read(self, alert: Alert) -> Row:
        """
        Return how often an alert would have fired (`fired`), when (`firings`, the latest first), and its value now.

        `fired` is None where that can't be told, as of growing themes.
        """
        shown = {"days": DAYS, "text": condition_text(alert), "fired": None, "firings": [], "points": []}
        if alert.metric in THEME_FACTS:
            return shown | ({"fired": len(self._new_themes(alert))} if alert.metric == "new_theme" else {})
        last_at = last_due(alert, self._now_ms())
        readings = self._readings.readings(alert, last_at, DAYS * _DAY_MS // alert.step_ms)
        rows = list(evaluations(alert, readings))
        firings = _firings(alert, rows)
        last = readings[-1]
        return shown | {
            "fired": len(firings),
            "firing_hours": sum(row.status == "firing" for row in rows) * alert.step_ms / 3_600_000,
            "no_data_share": sum(row.status == "no_data" for row in rows) / len(rows),
            "firings": firings[: -_MAX_SHOWN - 1 : -1],
            "points": _points(readings),
            "value_text": value_text(alert, last.value),
            "cases_text": cases_text(alert, last.cases),
        }

    def _new_themes(self, alert: Alert) -> Sequence[Reading]:
        now = last_due(alert, self._now_ms())
        since = now - timedelta(days=DAYS)
        of_month = alert.model_copy(update={"created_at": since, "window_minutes": DAYS * 24 * 60})
        return self._themes.readings(of_month, now)


def _firings(alert: Alert, rows: Sequence[AlertEvaluation]) -> list[Row]:
    """Return when an alert fired and was resolved, the earliest first, with the value at which it fired."""
    firings: list[Row] = []
    for row in rows:
        at = utc_text(row.evaluated_at)
        if row.change == "fired":
            value = {"value": row.value, "value_text": value_text(alert, row.value)}
            firings.append({"fired_at": at, "resolved_at": None, "cases_text": cases_text(alert, row.cases)} | value)
        elif row.change == "resolved":
            firings[-1]["resolved_at"] = at
    return firings


def _points(readings: Sequence[Reading]) -> list[float]:
    """Return the values at even distances, 0 where there is none, for a small chart."""
    step = max(len(readings) // _MAX_POINTS, 1)
    return [reading.value or 0.0 for reading in readings[::step]]
