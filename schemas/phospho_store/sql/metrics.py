"""
SQL for metrics: a number of a project's tasks, over time and by a dimension. One table of metrics, one of dimensions.

    question = Question("success_rate", by="version", interval="day")
    sql = question.sql(fact_rows(scope, question.columns))
    rows = store.rows(sql, scope.parameters(**question.parameters))

A row has `time` (with an interval), `value` (with a dimension), the number under the name of the metric, NULL where it
has no cases, and `cases`, the number of cases behind it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from phospho_store.sql import compose

Unit = Literal["count", "percent", "ms", "score", "money", "number"]

# The cost of a task in billionths of the currency, integers, whose sum no order of the rows changes. It is 0 of a model
# without a price.
TASK_COST = """toInt64(round(1000 * (
        ifNull(tokens_in, 0) * transform(toString(model), {models:Array(String)}, {prices_in:Array(Float64)}, 0.)
        + ifNull(tokens_out, 0) * transform(toString(model), {models:Array(String)}, {prices_out:Array(Float64)}, 0.)
    )))"""
COST_UNIT = 1_000_000_000
_ALL = "count()"
_SENTIMENT = "avg(toInt32(round(sentiment_score * 10000))) / 10000"
# Decimals, since the sum of floats depends on the order of the rows.
_NUMBER = "toDecimal128OrNull(metric_metadata, 6)"
_EVENT_TIMES = {"": "length(names)", "set": "countEqual(names, {metric_event:String})", "part": "1"}
_HITS = {
    "event": {"": "notEmpty(names)", "set": "has(names, {metric_event:String})", "part": "1"},
    "theme": {"": "theme_id != ''", "set": "theme_id = {metric_theme:String}", "part": "1"},
}


@dataclass(frozen=True)
class Metric:
    """
    A number of tasks: the aggregate `value` over rows that have `columns`, of so many `cases`.

    A share is `value` divided by `cases`, and NULL without any. `case_noun` names the cases. `option` is what the
    metric is about: an event or a theme, any where none is named, or a metadata key. Broken down by that dimension,
    a share is each part's share of all. The parts of an `is_additive` metric add up.
    """

    name: str
    label: str
    unit: Unit
    value: str
    cases: str = _ALL
    case_noun: str = "tasks"
    columns: tuple[str, ...] = ()
    option: Literal["", "event", "theme", "key"] = ""
    is_share: bool = False
    is_additive: bool = False


def _latency(percent: int) -> Metric:
    value = f"quantileBFloat16({percent / 100})(latency_ms)"
    label = f"Latency, p{percent}"
    return Metric(
        f"latency_p{percent}",
        label,
        "ms",
        value,
        cases="count(latency_ms)",
        case_noun="timed tasks",
        columns=("latency_ms",),
    )


def _metadata(name: str, label: str, value: str) -> Metric:
    cases = f"count({_NUMBER})"
    return Metric(
        f"metadata_{name}",
        label,
        "number",
        value,
        cases=cases,
        case_noun="tasks with this number",
        columns=("metric_metadata",),
        option="key",
    )


def _tokens(name: str, label: str, value: str) -> Metric:
    columns = ("tokens_in", "tokens_out")
    cases = "countIf(isNotNull(tokens_in) OR isNotNull(tokens_out))"
    return Metric(
        name, label, "count", value, cases=cases, case_noun="tasks with tokens", columns=columns, is_additive=True
    )


_ALL_METRICS = (
    Metric("tasks", "Tasks", "count", "count()", is_additive=True),
    Metric("sessions", "Sessions", "count", "uniqExact(session_id)", columns=("session_id",)),
    Metric("users", "Users", "count", "uniqExactIf(user_id, user_id != '')", columns=("user_id",)),
    Metric(
        "success_rate",
        "Success rate",
        "percent",
        "countIf(flag = 'success')",
        cases="countIf(flag != '')",
        case_noun="tasks with feedback",
        columns=("flag",),
        is_share=True,
    ),
    Metric("feedback", "Tasks with feedback", "count", "countIf(flag != '')", columns=("flag",), is_additive=True),
    Metric(
        "events",
        "Events",
        "count",
        "sum($times)",
        cases="sum(is_analysed)",
        case_noun="analyzed tasks",
        columns=("names",),
        option="event",
    ),
    Metric(
        "event_rate",
        "Event rate (tasks)",
        "percent",
        "countIf($hit)",
        cases="sum(is_analysed)",
        case_noun="analyzed tasks",
        columns=("names",),
        option="event",
        is_share=True,
    ),
    Metric(
        "event_session_rate",
        "Event rate (sessions)",
        "percent",
        "uniqExactIf(session_id, $hit)",
        cases="uniqExactIf(session_id, is_analysed)",
        case_noun="analyzed sessions",
        columns=("names", "session_id"),
        option="event",
        is_share=True,
    ),
    Metric(
        "theme_share",
        "Theme share",
        "percent",
        "countIf(is_analysed AND $hit)",
        cases="sum(is_analysed)",
        case_noun="analyzed tasks",
        columns=("theme_id",),
        option="theme",
        is_share=True,
    ),
    Metric(
        "mean_sentiment",
        "Sentiment (mean)",
        "score",
        _SENTIMENT,
        cases="count(sentiment_score)",
        case_noun="tasks with a sentiment",
        columns=("sentiment_score",),
    ),
    Metric(
        "negative_rate",
        "Negative sentiment",
        "percent",
        "countIf(sentiment = 'negative')",
        cases="countIf(sentiment != '')",
        case_noun="tasks with a sentiment",
        columns=("sentiment",),
        is_share=True,
    ),
    _latency(50),
    _latency(95),
    _latency(99),
    _tokens("tokens", "Tokens", "sum(ifNull(tokens_in, 0)) + sum(ifNull(tokens_out, 0))"),
    _tokens("input_tokens", "Input tokens", "sum(ifNull(tokens_in, 0))"),
    _tokens("output_tokens", "Output tokens", "sum(ifNull(tokens_out, 0))"),
    Metric(
        "cost",
        "Cost",
        "money",
        f"sum({TASK_COST}) / {COST_UNIT}",
        cases="countIf(has({models:Array(String)}, model))",
        case_noun="tasks of models with a price",
        columns=("tokens_in", "tokens_out", "model"),
        is_additive=True,
    ),
    _metadata("mean", "Metadata number (mean)", f"toFloat64(sum({_NUMBER})) / nullIf(count({_NUMBER}), 0)"),
    _metadata("sum", "Metadata number (sum)", f"toFloat64(sum({_NUMBER}))"),
    _metadata("p95", "Metadata number (p95)", f"quantileBFloat16(0.95)(toFloat64({_NUMBER}))"),
)
METRICS: Mapping[str, Metric] = {metric.name: metric for metric in _ALL_METRICS}


@dataclass(frozen=True)
class Dimension:
    """
    A breakdown of tasks by `value`, an expression on a row. `filter_name` is the filter that leaves one of its values.

    With `is_list` the value is an array, and a task counts in each of its items.
    """

    name: str
    label: str
    value: str
    columns: tuple[str, ...]
    filter_name: str = ""
    is_list: bool = False


_ALL_DIMENSIONS = (
    Dimension("event", "Event", "names", ("names",), filter_name="event", is_list=True),
    Dimension("theme", "Theme", "theme_id", ("theme_id",), filter_name="theme"),
    Dimension("version", "Version", "version_id", ("version_id",), filter_name="version"),
    Dimension("model", "Model", "model", ("model",), filter_name="model"),
    Dimension("language", "Language", "language", ("language",), filter_name="language"),
    Dimension("sentiment", "Sentiment", "sentiment", ("sentiment",), filter_name="sentiment"),
    Dimension("flag", "Feedback", "flag", ("flag",), filter_name="flag"),
    Dimension("user", "User", "user_id", ("user_id",), filter_name="user"),
    Dimension("metadata", "Metadata key", "by_metadata", ("by_metadata",)),
)
DIMENSIONS: Mapping[str, Dimension] = {dimension.name: dimension for dimension in _ALL_DIMENSIONS}

INTERVALS: Mapping[str, str] = {
    "5min": "toStartOfFiveMinutes(toDateTime(created_at, {zone:String}))",
    "hour": "toStartOfHour(created_at, {zone:String})",
    "day": "toStartOfDay(created_at, {zone:String})",
    "week": "toDateTime(toMonday(created_at, {zone:String}), {zone:String})",
    "month": "toDateTime(toStartOfMonth(created_at, {zone:String}), {zone:String})",
    "year": "toDateTime(toStartOfYear(created_at, {zone:String}), {zone:String})",
}
# The value of the rows that are in none of the largest parts.
OTHER = "(other)"
DEFAULT_PARTS, MAX_PARTS = 8, 50
MAX_ROWS = 50_000

_QUERY = """
WITH task AS $rows$parts
SELECT $keys$number AS $name, $cases AS cases
FROM $source
$ending
"""
_PARTS = """,
part AS (SELECT *, $part AS part FROM task),
top AS (
    SELECT part FROM part WHERE isNotNull(part) GROUP BY part ORDER BY count() DESC, part LIMIT {parts:UInt32}
)"""
_IS_TOP = "part IN (SELECT part FROM top)"
# The part NULL is of all tasks: those that a share is of.
_SHARES = """
(
    SELECT *, max(if(isNull(value), part_cases, 0)) OVER ($partition) AS all_cases
    FROM (SELECT $keys$hits AS hits, $cases AS part_cases FROM part $ending)
)
WHERE isNotNull(value)
"""


@dataclass(frozen=True)
class Question:
    """
    A metric, by a dimension and over time where these are set. Raises KeyError for unknown names.

    `event`, `theme` and `key` are what the metric is about (`Metric.option`), `by_key` the key of the dimension
    `metadata`. The `parts` with the most tasks have rows of their own, and OTHER has the rest; events overlap, and
    have no rest. Cost takes the parameters `models`, `prices_in` and `prices_out` too.
    """

    metric: str
    event: str = ""
    theme: str = ""
    key: str = ""
    by: str = ""
    by_key: str = ""
    interval: str = ""
    zone: str = "UTC"
    parts: int = DEFAULT_PARTS

    @property
    def columns(self) -> frozenset[str]:
        """The columns that the rows must have."""
        of_dimension = DIMENSIONS[self.by].columns if self.by else ()
        return frozenset((*METRICS[self.metric].columns, *of_dimension, *(("created_at",) if self.interval else ())))

    @property
    def parameters(self) -> dict[str, Any]:
        """The values that `sql` takes beside those of its rows."""
        columns, option = self.columns, METRICS[self.metric].option
        values = {
            "metric_event": (self.event, option == "event" and self.event != ""),
            "metric_theme": (self.theme, option == "theme" and self.theme != ""),
            "metric_key": (self.key, "metric_metadata" in columns),
            "by_key": (self.by_key, "by_metadata" in columns),
            "zone": (self.zone, self.interval != ""),
            "parts": (self.parts, self.by != ""),
        }
        return {name: value for name, (value, is_taken) in values.items() if is_taken}

    def number(self) -> tuple[str, str]:
        """Return the aggregates of the number and of its cases over rows that have `columns`, of no dimension."""
        metric = METRICS[self.metric]
        value, cases = self._filled(metric.value), self._filled(metric.cases)
        return f"{value} / nullIf({cases}, 0)" if metric.is_share else value, cases

    def sql(self, rows: str) -> str:
        """Return the query over `rows`, a subquery of `fact_rows` or `view_rows`."""
        metric = METRICS[self.metric]
        value, cases = self._filled(metric.value), self._filled(metric.cases)
        keys, source, ending = self._keys(), "part" if self.by else "task", self._grouping()
        if self.is_own_share:
            partition = "PARTITION BY time" if self.interval else ""
            source = compose(_SHARES, partition=partition, keys=keys, hits=value, cases=cases, ending=ending).strip()
            keys, value, cases, ending = "".join(f"{name}, " for name in self._names), "hits", "all_cases", ""
        order = f"ORDER BY {', '.join(self._names)}" if self._names else ""
        if metric.is_share:
            value = f"{value} / nullIf({cases}, 0)"
        elif metric.is_additive and metric.cases != _ALL:
            value = f"if({cases} = 0, NULL, {value})"
        return compose(
            _QUERY,
            rows=rows,
            parts=compose(_PARTS, part=self._part()) if self.by else "",
            keys=keys,
            number=value,
            name=metric.name,
            cases=cases,
            source=source,
            ending="\n".join(filter(None, (ending, order, f"LIMIT {MAX_ROWS}"))),
        ).strip()

    @property
    def _names(self) -> list[str]:
        """The columns that tell rows apart."""
        return [name for name, is_key in (("time", self.interval), ("value", self.by)) if is_key]

    def _part(self) -> str:
        """Return the expression of the part that a row counts in, which multiplies the rows where it is in several."""
        dimension = DIMENSIONS[self.by]
        if not self.is_own_share:
            return f"arrayJoin({dimension.value})" if dimension.is_list else dimension.value
        parts = dimension.value if dimension.is_list else f"[{dimension.value}]"
        return f"arrayJoin(arrayConcat(CAST({parts}, 'Array(Nullable(String))'), [NULL]))"

    def _keys(self) -> str:
        """Return the columns of time and value, each with a comma."""
        columns = [f"{INTERVALS[self.interval]} AS time"] if self.interval else []
        if self.by:
            is_shown = f"(isNull(part) OR {_IS_TOP})" if self.is_own_share else _IS_TOP
            is_whole = DIMENSIONS[self.by].is_list
            columns.append("part AS value" if is_whole else f"if({is_shown}, part, '{OTHER}') AS value")
        return "".join(f"{column}, " for column in columns)

    def _grouping(self) -> str:
        """Return WHERE and GROUP BY."""
        is_list = self.by != "" and DIMENSIONS[self.by].is_list
        where = f"WHERE {_IS_TOP}{' OR isNull(part)' if self.is_own_share else ''}\n" if is_list else ""
        return where + (f"GROUP BY {', '.join(self._names)}" if self._names else "")

    @property
    def _is_of_own_dimension(self) -> bool:
        """True if each part is a value of what the metric is about, and none is named."""
        return self.by != "" and self.by == METRICS[self.metric].option and not (self.event or self.theme)

    @property
    def is_own_share(self) -> bool:
        """True if each row is the share that a part has of all: of the events, or of the themes."""
        return self._is_of_own_dimension and METRICS[self.metric].is_share

    def _filled(self, template: str) -> str:
        option = METRICS[self.metric].option
        state = "part" if self._is_of_own_dimension else "set" if (self.event or self.theme) else ""
        return compose(template, hit=_HITS.get(option, {}).get(state, ""), times=_EVENT_TIMES[state])
