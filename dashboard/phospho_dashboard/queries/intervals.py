"""The intervals of a chart that a person chooses: buckets of 5 minutes to years, in the zone of the project."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, tzinfo

from phospho_dashboard.queries.periods import Buckets, Extent, Span, day_starts, hour_starts, midnight_of, shown_times

_MINUTE_MS = 60_000
_DAY_MS = 24 * 60 * _MINUTE_MS
# The label of each interval, and its length; a month or a year is at least so long.
INTERVALS: dict[str, tuple[str, int]] = {
    "5min": ("5 minutes", 5 * _MINUTE_MS),
    "hour": ("Hour", 60 * _MINUTE_MS),
    "day": ("Day", _DAY_MS),
    "week": ("Week", 7 * _DAY_MS),
    "month": ("Month", 28 * _DAY_MS),
    "year": ("Year", 365 * _DAY_MS),
}
# Points of a chart: by itself it takes the shortest interval with few, and a person may have more.
_FEW_POINTS, MAX_POINTS = 92, 400


def interval_buckets(wanted: str, span: Span, extent: Extent, *, now_ms: int, zone: tzinfo) -> tuple[str, Buckets]:
    """
    Return the interval of a chart and its buckets: the wanted one, or the next longer one that has MAX_POINTS at most.

    Without a wanted one, it is the shortest with few points.
    """
    start_ms, last_ms = shown_times(span, extent, now_ms)
    most, names = MAX_POINTS if wanted else _FEW_POINTS, list(INTERVALS)
    names = names[names.index(wanted) :] if wanted else names
    interval = next((name for name in names if (last_ms - start_ms) / INTERVALS[name][1] <= most), names[-1])
    starts = tuple(_starts(interval, start_ms, last_ms, zone))
    return interval, Buckets(starts=starts, step_ms=INTERVALS[interval][1], span=span, now_ms=now_ms)


def _starts(interval: str, start_ms: int, last_ms: int, zone: tzinfo) -> Iterator[int]:
    if interval in ("month", "year"):
        return _calendar(interval, start_ms, last_ms, zone)
    length_ms = INTERVALS[interval][1]
    starts = day_starts if length_ms >= _DAY_MS else hour_starts
    return iter(starts(start_ms, last_ms, length_ms, zone))


def _calendar(interval: str, start_ms: int, last_ms: int, zone: tzinfo) -> Iterator[int]:
    """Yield the first midnights of months or years, from the one before `start_ms` up to the one after `last_ms`."""
    first = datetime.fromtimestamp(start_ms / 1000, zone).date().replace(day=1)
    first = first.replace(month=1) if interval == "year" else first
    first_ms = midnight_of(first, zone)
    yield first_ms
    while first_ms <= last_ms:
        months = 12 if interval == "year" else first.month
        first = first.replace(year=first.year + months // 12, month=months % 12 + 1)
        first_ms = midnight_of(first, zone)
        yield first_ms
