"""Periods of time: as they stand in a URL, as a range of milliseconds, and cut into the buckets of a chart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from phospho_schemas.errors import Problem
from phospho_schemas.times import parsed_time

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

MAX_BUCKETS = 92
_STEPS_MS = (
    _MINUTE_MS, 5 * _MINUTE_MS, 15 * _MINUTE_MS, _HOUR_MS, 3 * _HOUR_MS, 6 * _HOUR_MS, _DAY_MS, 7 * _DAY_MS,
    28 * _DAY_MS, 364 * _DAY_MS,
)  # fmt: skip
# A Monday, so that buckets of a week begin where weeks do.
_ORIGIN_MS = int(datetime(1970, 1, 5, tzinfo=UTC).timestamp()) * 1000


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
class Buckets:
    """Equal parts of a span: `count` of them, `step_ms` long, the first one starting at `start_ms`."""

    start_ms: int
    step_ms: int
    count: int

    def starts(self) -> Iterator[int]:
        """Yield the start of each bucket in Unix milliseconds."""
        return (self.start_ms + index * self.step_ms for index in range(self.count))


def span_of(period: str, now_ms: int) -> Span:
    """Return the span of one of PERIODS, up to the future: clocks of clients run ahead."""
    length_ms = PERIODS[period][1]
    return Span(None if length_ms is None else now_ms - length_ms, None)


def chosen_period(wanted: str, extent: Extent, now_ms: int) -> str:
    """Return the period that a page shows: the wanted one; else 30 days, or everything where those hold nothing."""
    if wanted:
        return wanted
    start_ms = span_of(DEFAULT_PERIOD, now_ms).start_ms or 0
    return DEFAULT_PERIOD if extent.last_ms is None or extent.last_ms >= start_ms else "all"


def buckets_of(span: Span, extent: Extent, now_ms: int) -> Buckets:
    """Return at most MAX_BUCKETS buckets that cover `span`, or what is in it where it is open."""
    start_ms = (
        span.start_ms if span.start_ms is not None else (extent.first_ms if extent.first_ms is not None else now_ms)
    )
    last_ms = span.end_ms - 1 if span.end_ms is not None else _last_shown(span, extent, now_ms)
    length_ms = max(last_ms - start_ms, 1)
    step_ms = next((step for step in _STEPS_MS if length_ms / step <= MAX_BUCKETS - 2), _STEPS_MS[-1])
    first = (start_ms - _ORIGIN_MS) // step_ms
    count = (max(last_ms, start_ms) - _ORIGIN_MS) // step_ms - first + 1
    return Buckets(_ORIGIN_MS + first * step_ms, step_ms, min(count, MAX_BUCKETS))


def time_ms(text: str, name: str) -> int:
    """Return a time of a URL (ISO 8601; UTC where it names no zone) in Unix milliseconds; Problem 400."""
    at = parsed_time(text)
    if at is None:
        hint = "such as 2026-01-31 or 2026-01-31T10:00:00Z"
        raise Problem(400, f"invalid_{name}", f"{name!r} is not a time", hint)
    return round(at.timestamp() * 1000)


def _last_shown(span: Span, extent: Extent, now_ms: int) -> int:
    """A period is shown up to now, or to a task whose clock ran ahead, and everything up to its last task."""
    if extent.last_ms is None:
        return now_ms
    return extent.last_ms if span.start_ms is None else max(now_ms, extent.last_ms)
