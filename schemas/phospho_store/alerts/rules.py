"""The rules of alerts: which metrics they watch, and which conditions make sense."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from phospho_schemas.rows.alerts import COMPARISONS, CONDITIONS, THEME_FACTS, WINDOWS, Alert, AlertMetric, Condition
from phospho_store.sql.metric_rows import FILTERS
from phospho_store.sql.metrics import METRICS, Metric

MAX_ALERTS = 100
# No user: a person who is forgotten is in no alert.
ALERT_FILTERS = tuple(name for name in FILTERS if name != "user")
MAX_CHANNELS = 5
_THEME_FACTS = (Metric("new_theme", "New theme", "count", ""), Metric("theme_grew", "Growing theme", "count", ""))
ALERT_METRICS: Mapping[AlertMetric, Metric] = {
    name: METRICS.get(name) or next(fact for fact in _THEME_FACTS if fact.name == name)
    for name in get_args(AlertMetric)
}


def is_total(metric: AlertMetric) -> bool:
    """Tell whether a metric is a sum, which is 0 where nothing was logged; a rate of nothing is no number."""
    return ALERT_METRICS[metric].unit in ("count", "money")


def conditions_of(metric: AlertMetric) -> list[Condition]:
    """Return the conditions that an alert on a metric may have."""
    if metric in THEME_FACTS:
        return ["occurs"]
    return [name for name in CONDITIONS if name != "occurs" and (name != "absent" or is_total(metric))]


def alert_refusal(alert: Alert) -> str | None:
    """Return why an alert makes no sense, for the person who wrote it; None where it does."""
    subject = ALERT_METRICS[alert.metric].option
    if alert.window_minutes not in WINDOWS:
        return f"'window_minutes' must be one of {', '.join(map(str, WINDOWS))}"
    if alert.condition not in conditions_of(alert.metric):
        return f"the condition of {alert.metric!r} must be one of {', '.join(conditions_of(alert.metric))}"
    if bool(subject) != bool(alert.subject):
        return f"'subject' must name the {subject}" if subject else f"{alert.metric!r} has no 'subject'"
    if alert.condition in COMPARISONS and alert.threshold <= 0:
        return "'threshold' must be a percentage above 0"
    if not alert.filters.keys() <= set(ALERT_FILTERS):
        return f"'filters' may have {', '.join(ALERT_FILTERS)}"
    if alert.filters and alert.metric in THEME_FACTS:
        return f"{alert.metric!r} has no 'filters'"
    return None
