"""
The filters of the pages: parsed from the query string and turned into SQL.

Two tables hold the columns that filters name: `task_rows` (model, words, feedback) and `analysis_rows` (language,
sentiment, and events before their corrections); project, time, user and version are in both. A query on one of them
reads the other only if a filter needs it, for the ids of its tasks within the same project and time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, tzinfo
from typing import Any, get_args

from phospho_dashboard.queries.conditions import MAX_CHARACTERS as MAX_WHERE_CHARACTERS
from phospho_dashboard.queries.conditions import Condition, conditions_of, joined
from phospho_dashboard.queries.periods import PERIODS, Extent, Span, time_ms
from phospho_dashboard.queries.search import contains, longest_word
from phospho_schemas.messages import Flag
from phospho_store.rollups.coverage import Range
from phospho_store.sql.corrections import NO_CORRECTIONS, Corrections
from phospho_store.sql.feedback import feedback_of_span, has_flag
from phospho_store.sql.themes import has_theme
from phospho_store.store import Store
from phospho_web.problems import Problem
from phospho_web.requests import choices_hint

_MAX_CHARACTERS = 512
_MAX_WORDS_CHARACTERS = 200
_MOST_CHARACTERS = {"q": _MAX_WORDS_CHARACTERS, "where": MAX_WHERE_CHARACTERS}
# The filters that are one of few, which the form of a page offers.
_CHOICES = {"flag": get_args(Flag), "sentiment": ("positive", "neutral", "negative")}
# The names in the URL that Python keeps for itself.
URL_NAMES = {"since": "from", "until": "to"}
# What a client logged is compared as it was logged, white space at its ends included.
_IDS = frozenset({"user", "version", "model", "event", "theme"})


@dataclass(frozen=True)
class Filters:
    """
    The filters of a URL; an empty one narrows nothing.

    `since` and `until` (ISO 8601, `from` and `to` in the URL) are a time of one's own, where no `period` is set. `q`
    is one phrase, found in the input or the output as `queries.search` compares texts. `event`, `theme`, `language`
    and `sentiment` are what detection said of a task; the theme `none` is of tasks without one. `where` are further
    conditions, as `queries.conditions` reads them.
    """

    period: str = ""
    since: str = ""
    until: str = ""
    user: str = ""
    version: str = ""
    model: str = ""
    language: str = ""
    event: str = ""
    theme: str = ""
    sentiment: str = ""
    flag: str = ""
    q: str = ""
    where: str = ""

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> Filters:
        """Return the filters of a query string; Problem 400 for what can't be one."""
        given = {field.name: query.get(URL_NAMES.get(field.name, field.name), "") for field in fields(cls)}
        values = {name: value if name in _IDS else value.strip() for name, value in given.items()}
        for name, value in values.items():
            limit = _MOST_CHARACTERS.get(name, _MAX_CHARACTERS)
            if len(value) > limit:
                raise Problem(400, f"invalid_{name}", f"{name!r} must be at most {limit} characters")
        if (period := values["period"]) and period not in PERIODS:
            raise Problem(400, "invalid_period", f"there is no period {period!r}", choices_hint(period, PERIODS))
        for name, choices in _CHOICES.items():
            if values[name] and values[name] not in choices:
                message = f"there is no {name} {values[name]!r}"
                raise Problem(400, f"invalid_{name}", message, choices_hint(values[name], choices))
        if values["period"]:
            values |= {"since": "", "until": ""}
        conditions_of(values["where"])
        return cls(**values)

    @property
    def conditions(self) -> list[Condition]:
        """The conditions of `where`."""
        return conditions_of(self.where)

    def of_views(self) -> list[str]:
        """Return the conditions of `where` on the view `tasks`, with the parameters of a Scope."""
        return [condition.of_views(number) for number, condition in enumerate(self.conditions)]

    def without(self, condition: Condition) -> str:
        """Return `where` without one of its conditions."""
        return joined(other for other in self.conditions if other != condition)

    def query(self, **changes: str) -> dict[str, str]:
        """Return the parameters of a URL with these filters, after `changes`; empty ones are left out."""
        changed = replace(self, **changes)
        values = ((field.name, getattr(changed, field.name)) for field in fields(self))
        return {URL_NAMES.get(name, name): value for name, value in values if value}

    def span(self, zone: tzinfo = UTC) -> Span | None:
        """
        Return the span that `since` and `until` name, None for neither. Problem 400 for what can't be one.

        Times without an offset are those of `zone`, and a day at the end is within the span.
        """
        if not self.since and not self.until:
            return None
        start_ms = time_ms(self.since, "from", zone) if self.since else None
        end_ms = time_ms(self.until, "to", zone, is_end=True) if self.until else None
        if start_ms is not None and end_ms is not None and start_ms > min(end_ms, self._latest_start_ms(end_ms, zone)):
            raise Problem(400, "invalid_from", "'from' is after 'to'", "swap them")
        return Span(start_ms, end_ms)

    def _latest_start_ms(self, end_ms: int, zone: tzinfo) -> int:
        """Return the last time at which a span that ends at `end_ms` may start: within the day of `until`."""
        return end_ms - (time_ms(self.until, "to", zone) < end_ms)

    def narrowing(self) -> dict[str, str]:
        """Return the filters that are set, beside the time, by their name."""
        times = {"period", "since", "until"}
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in times and getattr(self, f.name)}


def url_names() -> list[str]:
    """Return the names of the filters in a URL."""
    return [URL_NAMES.get(field.name, field.name) for field in fields(Filters)]


_OF_PROJECT = "project_id = {project:String}"
_BOTH = {"user": "user_id = {user:String}", "version": "version_id = {version:String}"}
# The condition of the filter `q` on a table or view of tasks.
SEARCH = f"({contains('input')} OR {contains('output')})"
_OF_TASKS = {
    "model": "model = {model:String}",
    "q": SEARCH,
    "flag": "flag = {flag:String}",
}
_OF_ANALYSES = {
    "language": "language = {language:String}",
    "sentiment": "sentiment = {sentiment:String}",
    "theme": has_theme("{theme:String}"),
}
_BY_TABLE = {"task_rows": _OF_TASKS, "analysis_rows": _OF_ANALYSES}


@dataclass(frozen=True)
class Scope:
    """
    The tasks that a page is about: those of one project, within a span, that pass the filters.

    `corrections` are what reading the project's events has to look for beside its analyses. `task_ids`, where they
    are set, are all that is in it. Of a span in `ranges`, the scope has the tasks of these; None is all of it.
    """

    project_id: str
    filters: Filters
    span: Span
    corrections: Corrections = NO_CORRECTIONS
    task_ids: tuple[str, ...] | None = None
    ranges: tuple[Range, ...] | None = None

    def parameters(self, **others: Any) -> dict[str, Any]:
        """Return the values that the conditions take, and `others`."""
        bounds = {"start_ms": self.span.start_ms, "end_ms": self.span.end_ms}
        times = {name: value for name, value in bounds.items() if value is not None}
        ids = {"task_ids": list(self.task_ids)} if self.task_ids is not None else {}
        word = {"q_word": longest_word(self.filters.q)} if self.filters.q else {}
        times |= {f"{name}_{number}": ms for number, name, ms in self._range_ends()}
        filters: dict[str, Any] = self.filters.narrowing()
        filters.pop("where", None)
        for number, condition in enumerate(self.filters.conditions):
            filters |= condition.parameters(number)
        return {"project": self.project_id, **times, **ids, **filters, **word, **others}

    def tasks(self) -> str:
        """Return the condition on `task_rows FINAL`."""
        return self._condition("task_rows")

    def analyses(self) -> str:
        """Return the condition on `analysis_rows FINAL`."""
        return self._condition("analysis_rows")

    def session_analyses(self) -> str:
        """Return the condition on `session_analysis_rows FINAL`, by the task at which its events stand."""
        return self._condition("session_analysis_rows")

    def of_span(self) -> str:
        """Return the condition on project and time, which every table of tasks takes."""
        return " AND ".join([_OF_PROJECT, *self._times()])

    def feedback(self) -> str:
        """Return a condition on `feedback_rows` that holds for all feedback on a task of the span, and few others."""
        return feedback_of_span(self.of_span()) if self._times() else _OF_PROJECT

    def of_ranges(self, ranges: tuple[Range, ...]) -> Scope:
        """Return the same tasks, as far as they are in one of these ranges of the span."""
        return replace(self, ranges=ranges)

    def within(self, span: Span) -> Scope:
        """Return the same tasks, as far as they are within `span`."""
        return replace(self, span=span)

    def before(self, now_ms: int) -> Scope | None:
        """Return the same tasks in the period before, which is as long; None where the period has no start."""
        start_ms, end_ms = self.span.start_ms, self.span.end_ms
        if start_ms is None:
            return None
        length_ms = min(now_ms, end_ms if end_ms is not None else now_ms) - start_ms
        return self.within(Span(start_ms - length_ms, start_ms)) if length_ms > 0 else None

    def of_project(self) -> Scope:
        """Return all tasks of the project."""
        return replace(self, filters=Filters(), span=Span(), task_ids=None)

    def of_tasks(self, task_ids: Iterable[str]) -> Scope:
        """Return the tasks of these ids, which have passed the filters."""
        return replace(self, filters=Filters(), task_ids=tuple(task_ids))

    def with_event(self, name: str) -> Scope:
        """Return those of the tasks that have this event."""
        return replace(self, filters=replace(self.filters, event=name))

    def _condition(self, table: str) -> str:
        parts = self._shared()
        for owner, of_owner in _BY_TABLE.items():
            own = self._active(of_owner) + self._where(owner)
            if own and owner != table:
                own = [f"task_id IN (SELECT task_id FROM {owner} FINAL WHERE {' AND '.join(self._shared() + own)})"]
            parts += own
        return " AND ".join(parts + self._events(table))

    def _events(self, table: str) -> list[str]:
        """Return the conditions on events: that of `event`, and those of `where`."""
        of_filter = [self._has_event(table)] if self.filters.event else []
        return of_filter + [
            condition.event_sql(number, lambda name: self._has_event(table).replace("{event:", f"{{{name}:"))
            for number, condition in enumerate(self.filters.conditions)
            if condition.name == "event"
        ]

    def _where(self, table: str) -> list[str]:
        """Return the conditions of `where` on the columns of a table; "" names those of every table."""
        return [
            condition.sql(number)
            for number, condition in enumerate(self.filters.conditions)
            if condition.name != "event" and condition.table == table
        ]

    def _has_event(self, table: str) -> str:
        within = " AND ".join(self._shared())
        is_found = "has(" + self.corrections.found_names() + ", {event:String})"
        if table != "analysis_rows":
            is_found = f"task_id IN (SELECT task_id FROM analysis_rows FINAL WHERE {within} AND {is_found})"
        return self.corrections.has_event(is_found, within)

    def _shared(self) -> list[str]:
        ids = ["task_id IN {task_ids:Array(String)}"] if self.task_ids is not None else []
        return [_OF_PROJECT, *self._times(), *ids, *self._active(_BOTH), *self._where("")]

    def _times(self) -> list[str]:
        start = ["created_at >= fromUnixTimestamp64Milli({start_ms:Int64})"] if self.span.start_ms is not None else []
        end = ["created_at < fromUnixTimestamp64Milli({end_ms:Int64})"] if self.span.end_ms is not None else []
        return start + end + ([self._in_ranges()] if self.ranges is not None else [])

    def _in_ranges(self) -> str:
        ranges: dict[int, list[str]] = {}
        for number, name, _ in self._range_ends():
            sign = ">=" if name == "from" else "<"
            condition = f"created_at {sign} fromUnixTimestamp64Milli({{{name}_{number}:Int64}})"
            ranges.setdefault(number, []).append(condition)
        return f"({' OR '.join(' AND '.join(conditions) for conditions in ranges.values()) or '0'})"

    def _range_ends(self) -> Iterator[tuple[int, str, int]]:
        for number, (from_ms, to_ms) in enumerate(self.ranges or ()):
            if from_ms is not None:
                yield number, "from", from_ms
            if to_ms is not None:
                yield number, "to", to_ms

    def _active(self, conditions: Mapping[str, str]) -> list[str]:
        narrowing = self.filters.narrowing()
        judged = {"flag": has_flag(self.feedback(), "{flag:String}")} if self.corrections.has_feedback else {}
        return [judged.get(name, condition) for name, condition in conditions.items() if name in narrowing]


# What fits well into the address of a request to ClickHouse, where parameters travel.
MAX_IDS = 1000
MAX_CHARACTERS = 60_000


def searched(store: Store, scope: Scope) -> Scope:
    """
    Return the same tasks, by their ids where there are few of them.

    A page of counts asks many queries, and each would read every text for the phrase again. Where the phrase is in
    many tasks the scope is returned as it is; so it is without a phrase.
    """
    if not scope.filters.q:
        return scope
    sql = f"SELECT task_id FROM task_rows FINAL WHERE {scope.tasks()} LIMIT {MAX_IDS + 1}"
    ids = [row["task_id"] for row in store.rows(sql, scope.parameters())]
    is_few = len(ids) <= MAX_IDS and sum(map(len, ids)) <= MAX_CHARACTERS
    return scope.of_tasks(ids) if is_few else scope


Rows = list[dict[str, Any]]

_FIRST_WINDOW_MS = 6 * 3_600_000
_WIDER = 16


def newest(read: Callable[[Scope], Rows], scope: Scope, extent: Extent, before_ms: int, limit: int) -> Rows:
    """
    Return what `read` finds in the last hours of `scope`, or in 16 times as many, until it finds `limit` rows.

    `read` takes a scope and returns the first `limit` rows of it, the newest first; a row that is in a window is
    newer than every row before it, so a window that is full holds the answer. `before_ms` is where the page starts.
    """
    first_ms, last_ms = extent.first_ms, extent.last_ms
    if first_ms is None or last_ms is None:
        return []
    start_ms = max(first_ms, scope.span.start_ms if scope.span.start_ms is not None else first_ms)
    width_ms = _FIRST_WINDOW_MS
    while True:
        window_ms = min(before_ms, last_ms) - width_ms
        is_whole = window_ms <= start_ms
        rows = read(scope if is_whole else scope.within(Span(window_ms, scope.span.end_ms)))
        if is_whole or len(rows) >= limit:
            return rows
        width_ms *= _WIDER
