"""Periods of time: as they stand in a URL, as a range of milliseconds, and cut into the buckets of a chart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import pairwise
from typing import Any

from phospho_schemas.times import parsed_end, parsed_time
from phospho_store.sql import compose
from phospho_web.problems import Problem

_SECOND_MS = 1000
_MINUTE_MS = 60 * _SECOND_MS
_HOUR_MS = 60 * _MINUTE_MS
_DAY_MS = 24 * _HOUR_MS

# The name in the URL, how it reads, and its length; None is everything.
PERIODS: dict[str, tuple[str, int | None]] = {
    "1h": ("Last hour", _HOUR_MS),
    "24h": ("Last 24 hours", _DAY_MS),
    "7d": ("Last 7 days", 7 * _DAY_MS),
    "30d": ("Last 30 days", 30 * _DAY_MS),
    "90d": ("Last 90 days", 90 * _DAY_MS),
    "all": ("All time", None),
}
DEFAULT_PERIOD = "30d"
_LONGEST_MS = 90 * _DAY_MS

MAX_BUCKETS = 92
_STEPS_MS = (
    _MINUTE_MS, 5 * _MINUTE_MS, 15 * _MINUTE_MS, _HOUR_MS, 3 * _HOUR_MS, 6 * _HOUR_MS, _DAY_MS, 7 * _DAY_MS,
    28 * _DAY_MS, 364 * _DAY_MS, 5 * 364 * _DAY_MS,
)  # fmt: skip
# The times that a DateTime64 of ClickHouse holds; MAX_BUCKETS of the longest step are longer.
FIRST_MS, BEYOND_MS = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) * 1000 for year in (1900, 2300))
# A Monday, so that buckets of a week begin where weeks do.
_ORIGIN = date(1970, 1, 5)


@dataclass(frozen=True)
class Span:
    """A range of Unix milliseconds, `start_ms <= t < end_ms`; None is open."""

    start_ms: int | None = None
    end_ms: int | None = None


@dataclass(frozen=True)
class Extent:
    """The times of a project's first and last task, None where it has none."""

    first_ms: int | None
    last_ms: int | None


@dataclass(frozen=True)
class Bucket:
    """A part of a span. It `is_whole` unless the span begins or ends within it, or its time is not over."""

    start_ms: int
    end_ms: int
    is_whole: bool


_BUCKET = "intDiv($time_ms - {origin_ms:Int64}, {step_ms:Int64})"
# A day with a change of the clock is an hour longer or shorter, which moves a time by at most one bucket.
_UNEVEN_BUCKET = (
    "($bucket + ($time_ms >= {starts:Array(Int64)}[$bucket + 2]) - ($time_ms < {starts:Array(Int64)}[$bucket + 1]))"
)


@dataclass(frozen=True)
class Buckets:
    """
    The parts of a time, `step_ms` long, or an hour more or less where they are days of a zone.

    `starts` are the times at which they begin, and the end of the last one. What they count is within `span`, so the
    first and the last may reach beyond it.
    """

    starts: tuple[int, ...]
    step_ms: int
    span: Span
    now_ms: int

    @property
    def start_ms(self) -> int:
        return self.starts[0]

    @property
    def count(self) -> int:
        return len(self.starts) - 1

    def __iter__(self) -> Iterator[Bucket]:
        """Yield each bucket as far as it is within the span: what is in it is what a list of its time holds."""
        return (self._bucket(start_ms, end_ms) for start_ms, end_ms in pairwise(self.starts))

    @property
    def sql(self) -> str:
        """The index of the bucket of `created_at`, with the values of `parameters`."""
        return self.index_of("toUnixTimestamp64Milli(created_at)")

    def index_of(self, time_ms: str) -> str:
        """Return the index of the bucket of `time_ms`, an expression of Unix milliseconds."""
        bucket = compose(_BUCKET, time_ms=time_ms)
        return bucket if self._is_even else compose(_UNEVEN_BUCKET, bucket=bucket, time_ms=time_ms)

    @property
    def parameters(self) -> dict[str, Any]:
        starts = {} if self._is_even else {"starts": list(self.starts)}
        return {"origin_ms": self.start_ms, "step_ms": self.step_ms, **starts}

    @property
    def _is_even(self) -> bool:
        return all(end_ms - start_ms == self.step_ms for start_ms, end_ms in pairwise(self.starts))

    def _bucket(self, start_ms: int, end_ms: int) -> Bucket:
        first_ms = start_ms if self.span.start_ms is None else max(start_ms, self.span.start_ms)
        beyond_ms = end_ms if self.span.end_ms is None else max(min(end_ms, self.span.end_ms), first_ms)
        is_whole = (first_ms, beyond_ms) == (start_ms, end_ms) and end_ms <= self.now_ms
        return Bucket(first_ms, beyond_ms, is_whole)


def span_of(period: str, now_ms: int) -> Span:
    """
    Return the span of one of PERIODS. It reaches into the future, since clocks of clients run ahead.

    It does so as far as it is long, and a day at most: one clock that is wrong by a year makes no chart of years. Both
    ends are whole minutes, so that a page stays the same for a minute where nothing happens.
    """
    length_ms = PERIODS[period][1]
    minute_ms = now_ms // _MINUTE_MS * _MINUTE_MS
    return Span() if length_ms is None else Span(minute_ms - length_ms, minute_ms + min(length_ms, _DAY_MS))


def chosen_period(wanted: str, extent: Extent, now_ms: int) -> str:
    """Return the period that a page shows: the wanted one; else 30 days, or everything where those hold nothing."""
    if wanted:
        return wanted
    start_ms = span_of(DEFAULT_PERIOD, now_ms).start_ms or 0
    return DEFAULT_PERIOD if extent.last_ms is None or extent.last_ms >= start_ms else "all"


def buckets_of(span: Span, extent: Extent, now_ms: int, zone: tzinfo = UTC) -> Buckets:
    """
    Return at most MAX_BUCKETS buckets that cover `span`, or what is in it where it is open.

    Of a span that begins before the longest period, or ends in the future, they cover what the project has. Buckets of
    a day or more are days of `zone`; shorter ones begin at its full hours.
    """
    start_ms, last_ms = shown_times(span, extent, now_ms)
    step_ms = next(step for step in _STEPS_MS if (last_ms - start_ms) / step <= MAX_BUCKETS - 2)
    starts = (
        day_starts(start_ms, last_ms, step_ms, zone)
        if step_ms >= _DAY_MS
        else hour_starts(start_ms, last_ms, step_ms, zone)
    )
    return Buckets(starts=tuple(starts), step_ms=step_ms, span=span, now_ms=now_ms)


def day_starts(start_ms: int, last_ms: int, step_ms: int, zone: tzinfo) -> Iterator[int]:
    """Yield the midnights from the one before `start_ms` up to the one after `last_ms`, by `step_ms`."""
    days = step_ms // _DAY_MS
    first_day = datetime.fromtimestamp(start_ms / 1000, zone).date()
    first_day -= timedelta(days=(first_day - _ORIGIN).days % days)
    midnight_ms = midnight_of(first_day, zone)
    yield midnight_ms
    while midnight_ms <= last_ms:
        first_day += timedelta(days=days)
        midnight_ms = midnight_of(first_day, zone)
        yield midnight_ms


def midnight_of(day: date, zone: tzinfo) -> int:
    """Return the first moment of a day in a zone, in Unix milliseconds."""
    return int(datetime.combine(day, time(), zone).timestamp()) * 1000


def hour_starts(start_ms: int, last_ms: int, step_ms: int, zone: tzinfo) -> range:
    """Return the multiples of `step_ms` in the zone's time, from the one before `start_ms` to one after `last_ms`."""
    offset = datetime.fromtimestamp(start_ms / 1000, zone).utcoffset() or timedelta()
    offset_ms = int(offset.total_seconds()) * 1000
    first_ms = (start_ms + offset_ms) // step_ms * step_ms - offset_ms
    return range(first_ms, last_ms + step_ms + 1, step_ms)


def time_ms(text: str, name: str, zone: tzinfo = UTC, *, is_end: bool = False) -> int:
    """
    Return a time of a URL (ISO 8601; of `zone` where it has no offset) in Unix milliseconds; Problem 400.

    With `is_end` a day without a time includes that day.
    """
    at = parsed_end(text, zone) if is_end else parsed_time(text, zone)
    hint = "such as 2026-01-31 or 2026-01-31T10:00:00Z"
    if at is None:
        raise Problem(400, f"invalid_{name}", f"{name!r} is not a time", hint)
    given_ms = round(at.timestamp() * 1000)
    if not FIRST_MS <= given_ms < BEYOND_MS:
        raise Problem(400, f"invalid_{name}", f"{name!r} is not between the years 1900 and 2299", hint)
    return given_ms


def shown_times(span: Span, extent: Extent, now_ms: int) -> tuple[int, int]:
    """Return the first and the last time of a chart of `span`, which are within it."""
    first_ms = now_ms if extent.first_ms is None else extent.first_ms
    last_ms = now_ms if extent.last_ms is None else extent.last_ms
    if span.start_ms is not None:
        # A period is shown from its start up to now, or to a task whose clock ran ahead.
        first_ms, last_ms = min(first_ms, now_ms - _LONGEST_MS), max(last_ms, now_ms)
    start_ms = FIRST_MS if span.start_ms is None else span.start_ms
    end_ms = BEYOND_MS if span.end_ms is None else span.end_ms
    last_ms = max(min(last_ms, end_ms - 1), start_ms)
    return max(min(first_ms, last_ms), start_ms), last_ms
