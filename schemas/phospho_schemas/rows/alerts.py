"""Alerts: conditions on the metrics of a project, and what their evaluations found."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import Field

from phospho_schemas.messages import Count, Identifier, Message, ProjectId, Revision, UtcTime

AlertMetric = Literal[
    "tasks", "sessions", "users", "success_rate", "feedback", "events", "event_rate", "theme_share", "mean_sentiment",
    "negative_rate", "latency_p50", "latency_p95", "latency_p99", "tokens", "cost", "new_theme", "theme_grew",
]  # fmt: skip
Condition = Literal["above", "below", "rises", "falls", "absent", "occurs"]
AlertStatus = Literal["ok", "firing", "no_data"]
AlertChange = Literal["", "fired", "resolved"]

# The window of an evaluation in minutes, and the minutes between two evaluations, by which a window divides.
WINDOWS: Mapping[int, int] = {5: 1, 15: 5, 60: 10, 360: 60, 1440: 180, 10080: 720}
MAX_NAME_CHARACTERS = 128
MAX_RESOLVE_AFTER = 10
# They fire for each theme, and have no threshold.
THEME_FACTS: frozenset[AlertMetric] = frozenset({"new_theme", "theme_grew"})
CONDITIONS: Mapping[Condition, str] = {
    "above": "is above",
    "below": "is below",
    "rises": "rises by more than",
    "falls": "falls by more than",
    "absent": "is zero",
    "occurs": "is found",
}
COMPARISONS: frozenset[Condition] = frozenset({"rises", "falls"})


class Alert(Message):
    """
    A condition on a metric of a project. Key: project, alert; the greatest revision wins.

    The metric is read over the last `window_minutes`. `subject` is the event or theme that it is of, and `filters`
    narrow its tasks. `threshold` is in the metric's unit (a fraction where that is percent), or the percentage of a
    change. A reading of fewer than `min_cases` cases says nothing. A firing alert is resolved by `resolve_after`
    evaluations in a row that don't meet it.
    """

    project_id: ProjectId
    alert_id: Identifier
    revision: Revision = 0
    name: Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARACTERS)]
    metric: AlertMetric
    subject: str = Field(default="", max_length=128)
    filters: dict[str, str] = Field(default_factory=dict)
    condition: Condition
    threshold: float = Field(default=0.0, allow_inf_nan=False, description="value or percentage that is compared")
    window_minutes: Count = 60
    min_cases: Count = 20
    resolve_after: Annotated[int, Field(ge=1, le=MAX_RESOLVE_AFTER)] = 3
    muted_until_at: UtcTime | None = None
    is_deleted: bool = False
    created_by: str = ""
    created_at: UtcTime

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
    `clear_count` counts the evaluations in a row that did not meet a firing alert. `is_muted` says that its change is
    not sent.
    """

    project_id: ProjectId
    alert_id: Identifier
    theme: str = Field(default="", description="theme that the alert fires for; empty for the alert as a whole")
    evaluated_at: UtcTime
    revision: Revision = 0
    status: AlertStatus = Field(description="ok, firing, or without enough data")
    change: AlertChange = ""
    since_at: UtcTime
    clear_count: Count = 0
    value: float | None = Field(default=None, description="value of the metric; null without a case")
    cases: Count = 0
    baseline: float | None = None
    is_muted: bool = False


def next_due_ms(alert: Alert, now_ms: int) -> int:
    """Return the first time after `now_ms` at which an alert is evaluated. Unix milliseconds."""
    return (now_ms // alert.step_ms + 1) * alert.step_ms


def last_due(alert: Alert, now_ms: int) -> datetime:
    """Return the latest time at or before `now_ms` at which an alert is evaluated."""
    return datetime.fromtimestamp(now_ms // alert.step_ms * alert.step_ms / 1000, UTC)
