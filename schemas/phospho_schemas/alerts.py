"""Alerts: conditions on the metrics of a project, and what their evaluations found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Literal, get_args

from pydantic import Field

from phospho_schemas.messages import Count, Identifier, Message, ProjectId, Revision, UtcTime

Metric = Literal[
    "tasks", "success_rate", "feedback", "events", "event_rate", "theme_share", "negative_share",
    "latency_p50", "latency_p95", "latency_p99", "tokens", "cost", "new_theme", "theme_grew",
]  # fmt: skip
Condition = Literal["above", "below", "rises", "falls", "absent", "occurs"]
Unit = Literal["count", "percent", "ms", "money"]
AlertStatus = Literal["ok", "firing", "no_data"]
AlertChange = Literal["", "fired", "resolved"]

# The window of an evaluation in minutes, and the minutes between two evaluations, by which a window divides.
WINDOWS: Mapping[int, int] = {5: 1, 15: 5, 60: 10, 360: 60, 1440: 180, 10080: 720}
MAX_ALERTS = 100
MAX_CHANNELS = 5
MAX_NAME_CHARACTERS = 100
MAX_RESOLVE_AFTER = 10


@dataclass(frozen=True)
class MetricSpec:
    """
    A metric that alerts watch. `subject` says what it is of: an event, a theme or nothing.

    Of a rate or a percentile, `cases` is the noun for what it is computed from.
    """

    label: str
    unit: Unit
    subject: Literal["", "event", "theme"] = ""
    cases: str = ""

    @property
    def is_total(self) -> bool:
        """True for a sum, which is 0 where nothing was logged; a rate of nothing is no number."""
        return not self.cases


METRICS: Mapping[Metric, MetricSpec] = {
    "tasks": MetricSpec("Tasks", "count"),
    "success_rate": MetricSpec("Success rate", "percent", cases="tasks with feedback"),
    "feedback": MetricSpec("Tasks with feedback", "count"),
    "events": MetricSpec("Events", "count", "event"),
    "event_rate": MetricSpec("Event rate", "percent", "event", "analysed tasks"),
    "theme_share": MetricSpec("Share of a theme", "percent", "theme", "analysed tasks"),
    "negative_share": MetricSpec("Share of negative tasks", "percent", cases="tasks with a sentiment"),
    "latency_p50": MetricSpec("Latency, median", "ms", cases="tasks with a latency"),
    "latency_p95": MetricSpec("Latency, 95th percentile", "ms", cases="tasks with a latency"),
    "latency_p99": MetricSpec("Latency, 99th percentile", "ms", cases="tasks with a latency"),
    "tokens": MetricSpec("Tokens", "count"),
    "cost": MetricSpec("Cost", "money"),
    "new_theme": MetricSpec("A new theme", "count"),
    "theme_grew": MetricSpec("A growing theme", "count"),
}
# They fire for each theme, and have no threshold.
THEME_FACTS: frozenset[Metric] = frozenset({"new_theme", "theme_grew"})
CONDITIONS: Mapping[Condition, str] = {
    "above": "is above",
    "below": "is below",
    "rises": "rises by more than (percent)",
    "falls": "falls by more than (percent)",
    "absent": "is zero",
    "occurs": "is found",
}
COMPARISONS: frozenset[Condition] = frozenset({"rises", "falls"})
# The filters of an alert, by their name in the URL of a page.
FILTERS = ("version", "model", "language", "user")


class Alert(Message):
    """
    A condition on a metric of a project. Key: project, alert; the greatest revision wins.

    The metric is read over the last `window_minutes`. `subject` is the event or theme that it is of. `threshold` is in
    the metric's unit (a fraction where that is percent), or the percentage of a change. A reading of fewer than
    `min_cases` cases says nothing. A firing alert is resolved by `resolve_after` evaluations in a row that don't meet it.
    """

    project_id: ProjectId
    alert_id: Identifier
    revision: Revision = 0
    name: Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARACTERS)]
    metric: Metric
    subject: str = Field(default="", max_length=128)
    filters: dict[str, str] = Field(default_factory=dict)
    condition: Condition
    threshold: float = Field(default=0.0, allow_inf_nan=False)
    window_minutes: Count = 60
    min_cases: Count = 20
    resolve_after: Annotated[int, Field(ge=1, le=MAX_RESOLVE_AFTER)] = 3
    muted_until_at: UtcTime | None = None
    is_deleted: bool = False
    created_by: str = ""
    created_at: UtcTime

    @property
    def spec(self) -> MetricSpec:
        return METRICS[self.metric]

    @property
    def window_ms(self) -> int:
        return self.window_minutes * 60_000

    @property
    def step_ms(self) -> int:
        """The time between two evaluations."""
        return WINDOWS[self.window_minutes] * 60_000

    def is_muted(self, at: datetime) -> bool:
        """Tell whether changes at a time are not sent."""
        return self.muted_until_at is not None and at < self.muted_until_at


class AlertEvaluation(Message):
    """
    The evaluation of an alert at a time. Key: project, alert, theme, time.

    `theme` is that of an alert which fires for each theme, else empty. `baseline` is the value of the period before.
    `clear_count` counts the evaluations in a row that a
    firing alert did not meet. `is_muted` says that its change is not sent.
    """

    project_id: ProjectId
    alert_id: Identifier
    theme: str = ""
    evaluated_at: UtcTime
    revision: Revision = 0
    status: AlertStatus
    change: AlertChange = ""
    since_at: UtcTime
    clear_count: Count = 0
    value: float | None = None
    cases: Count = 0
    baseline: float | None = None
    is_muted: bool = False


def alert_refusal(alert: Alert) -> str | None:
    """Return why an alert makes no sense, for the person who wrote it; None where it does."""
    spec = alert.spec
    if alert.window_minutes not in WINDOWS:
        return f"'window_minutes' must be one of {', '.join(map(str, WINDOWS))}"
    if (alert.metric in THEME_FACTS) != (alert.condition == "occurs"):
        return f"the condition of {alert.metric!r} must be one of {', '.join(conditions_of(alert.metric))}"
    if bool(spec.subject) != bool(alert.subject):
        return f"'subject' must name {spec.subject}" if spec.subject else f"{alert.metric!r} has no 'subject'"
    if alert.condition == "absent" and not spec.is_total:
        return f"{alert.metric!r} can't be absent: watch 'tasks' or 'events'"
    if alert.condition in COMPARISONS and alert.threshold <= 0:
        return "'threshold' must be a percentage above 0"
    if not alert.filters.keys() <= set(FILTERS):
        return f"'filters' may have {', '.join(FILTERS)}"
    if alert.filters and alert.metric in THEME_FACTS:
        return f"{alert.metric!r} has no 'filters'"
    return None


def conditions_of(metric: Metric) -> list[Condition]:
    """Return the conditions that an alert on a metric may have."""
    if metric in THEME_FACTS:
        return ["occurs"]
    conditions: tuple[Condition, ...] = get_args(Condition)
    return [name for name in conditions if name != "occurs" and (name != "absent" or METRICS[metric].is_total)]


def last_due(alert: Alert, now_ms: int) -> datetime:
    """Return the latest time at or before `now_ms` at which an alert is evaluated."""
    return datetime.fromtimestamp(now_ms // alert.step_ms * alert.step_ms / 1000, UTC)
