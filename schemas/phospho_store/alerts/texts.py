"""Alerts in words, for messages, pages and the command line."""

from __future__ import annotations

from phospho_schemas.rows.alerts import COMPARISONS, CONDITIONS, THEME_FACTS, Alert
from phospho_store.alerts.rules import ALERT_METRICS, is_total

_WINDOW_NAMES = {
    5: "5 minutes",
    15: "15 minutes",
    60: "1 hour",
    360: "6 hours",
    1440: "24 hours",
    10080: "7 days",
}


def window_text(minutes: int) -> str:
    """Return a window of time in words."""
    return _WINDOW_NAMES[minutes]


def value_text(alert: Alert, value: float | None) -> str:
    """Return a value of an alert's metric with its unit."""
    if value is None:
        return "no data"
    unit = "percent" if alert.metric == "theme_grew" and value <= 1 else ALERT_METRICS[alert.metric].unit
    match unit:
        case "percent":
            return f"{value:.1%}"
        case "ms":
            return f"{value:,.0f} ms"
        case "score" | "money":
            return f"{value:,.2f}"
    return f"{value:,.0f}"


def condition_text(alert: Alert, subject: str = "") -> str:
    """Return the condition in words; `subject` is the title of its theme, where it is of one."""
    label = ALERT_METRICS[alert.metric].label.partition(", of ")[0]
    if alert.metric in THEME_FACTS:
        return f"{label} within {window_text(alert.window_minutes)}"
    watched = f"{label} ({subject or alert.subject})" if alert.subject else label
    threshold = "" if alert.condition == "absent" else f" {_threshold_text(alert)}"
    before = " against the period before" if alert.condition in COMPARISONS else ""
    words = CONDITIONS[alert.condition].removeprefix("is ")
    return f"{watched}: {words}{threshold} over {window_text(alert.window_minutes)}{before}"


def cases_text(alert: Alert, cases: int) -> str:
    """Return of how many cases a value is; empty for a sum, and without a case."""
    return "" if is_total(alert.metric) or not cases else f"{cases:,} {ALERT_METRICS[alert.metric].case_noun}"


def _threshold_text(alert: Alert) -> str:
    if alert.condition in COMPARISONS:
        return f"{alert.threshold:g}%"
    if ALERT_METRICS[alert.metric].unit == "percent":
        return f"{100 * alert.threshold:.4g}%"
    return value_text(alert, alert.threshold)
