"""A chart as it stands in a URL: a metric, what it is about, its breakdown, its interval and its form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace

from phospho_dashboard.queries.intervals import INTERVALS
from phospho_store.sql.metrics import DIMENSIONS, METRICS, OTHER, Question
from phospho_web.problems import Problem
from phospho_web.requests import choices_hint

CHARTS = {"line": "Line", "bars": "Bars over time", "ranking": "Bars by value", "table": "Table", "number": "Number"}
# Colors tell as many lines apart; a table or a list of bars is read.
_LINES, _ROWS = 5, 20
_MAX_CHARACTERS = 512


@dataclass(frozen=True)
class Chart:
    """
    A chart of Explore; an empty field is the default.

    `about` is the event, the theme or the metadata key that the metric is of. `by_key` is the key of a breakdown by
    metadata.
    """

    metric: str = "tasks"
    about: str = ""
    by: str = ""
    by_key: str = ""
    interval: str = ""
    chart: str = "line"

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> Chart:
        """Return the chart of a query string; Problem 400 for what can't be one."""
        values = {name: query.get(name, "") or default for name, default in asdict(cls()).items()}
        choices = {"metric": METRICS, "by": DIMENSIONS, "interval": INTERVALS, "chart": CHARTS}
        for name, allowed in choices.items():
            if values[name] and values[name] not in allowed:
                message = f"there is no {name} {values[name][:100]!r}"
                raise Problem(400, f"invalid_{name}", message, choices_hint(values[name], allowed))
        for name, value in values.items():
            if len(value) > _MAX_CHARACTERS:
                raise Problem(400, f"invalid_{name}", f"{name!r} must be at most {_MAX_CHARACTERS} characters")
        return cls(**values)

    def query(self, **changes: str) -> dict[str, str]:
        """Return the parameters of a URL with this chart, after `changes`; defaults are left out."""
        defaults = asdict(Chart())
        return {name: value for name, value in asdict(replace(self, **changes)).items() if value != defaults[name]}

    @property
    def is_over_time(self) -> bool:
        return self.chart in ("line", "bars")

    @property
    def missing(self) -> str:
        """The sentence about a name that the number needs; empty where nothing is missing."""
        if METRICS[self.metric].option == "key" and not self.about:
            return "Enter the metadata key of the number"
        if self.by == "metadata" and not self.by_key:
            return "Enter the metadata key to break down by"
        return ""

    def question(self, zone: str, interval: str = "", *, is_total: bool = False) -> Question:
        """Return the question of the chart: over time with an `interval`, of everything with `is_total`."""
        option = METRICS[self.metric].option
        about = {option: self.about} if option else {}
        by, by_key = ("", "") if is_total else (self.by, self.by_key)
        parts = _LINES if self.is_over_time else _ROWS
        return Question(self.metric, **about, by=by, by_key=by_key, interval=interval, zone=zone, parts=parts)

    def narrowing(self, value: str | None = None) -> dict[str, str] | None:
        """
        Return the filters of the tasks behind a number, of one `value` of the breakdown or of all.

        None where no filter has them.
        """
        metric = METRICS[self.metric]
        filters = {"negative_rate": {"sentiment": "negative"}}.get(self.metric, {})
        if metric.option in ("event", "theme") and self.about:
            filters |= {metric.option: self.about}
        if value is None:
            return filters
        filter_name = DIMENSIONS[self.by].filter_name
        value = "none" if self.by == "theme" and not value else value
        if not filter_name or value in ("", OTHER) or filters.get(filter_name, value) != value:
            return None
        return filters | {filter_name: value}


CHART_NAMES = tuple(field.name for field in fields(Chart))
