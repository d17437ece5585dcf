"""Periods: what a URL names, which time a page shows without one, and equal buckets that cover it."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phospho_dashboard.queries.periods import (
    MAX_BUCKETS,
    PERIODS,
    Extent,
    Span,
    buckets_of,
    chosen_period,
    span_of,
    time_ms,
)
from phospho_web.problems import Problem

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
# Times that no table holds, the first of them one that no page can show.
BEYOND = ("0001-01-01T00:00:00+14:00", "1899-12-31T23:59:59Z", "2300-01-01")
NOW_MS = 1_780_000_000_000
YEAR_2299_MS = 10_413_791_999_999
times = st.integers(946_684_800_000, NOW_MS)
any_time = st.integers(-2_208_988_800_000, YEAR_2299_MS)


@given(first=times, length_ms=st.integers(0, 30 * 366 * DAY_MS), period=st.sampled_from(sorted(PERIODS)))
def test_buckets_are_bounded_and_cover_the_period(first: int, length_ms: int, period: str) -> None:
    extent = Extent(first, min(first + length_ms, NOW_MS))
    buckets = buckets_of(span_of(period, NOW_MS), extent, NOW_MS)
    start_ms = span_of(period, NOW_MS).start_ms
    last_ms = extent.last_ms if start_ms is None else NOW_MS

    assert 1 <= buckets.count <= MAX_BUCKETS
    assert buckets.start_ms <= (start_ms if start_ms is not None else first)
    assert last_ms is not None
    assert buckets.start_ms + buckets.count * buckets.step_ms > last_ms


@given(start_ms=st.none() | any_time, end_ms=st.none() | any_time, first_ms=any_time, length_ms=st.integers(0, 10**13))
def test_every_task_of_any_span_is_in_a_bucket(
    start_ms: int | None, end_ms: int | None, first_ms: int, length_ms: int
) -> None:
    extent = Extent(first_ms, min(first_ms + length_ms, YEAR_2299_MS))
    buckets = buckets_of(Span(start_ms, end_ms), extent, NOW_MS)
    parts = list(buckets)

    assert 1 <= len(parts) <= MAX_BUCKETS
    for at_ms in (extent.first_ms, extent.last_ms):
        assert at_ms is not None
        in_span = (start_ms is None or start_ms <= at_ms) and (end_ms is None or at_ms < end_ms)
        index = (at_ms - buckets.start_ms) // buckets.step_ms
        within = 0 <= index < len(parts) and parts[index].start_ms <= at_ms < parts[index].end_ms
        assert within == in_span


def test_buckets_end_where_their_span_does_and_say_that_they_are_in_part() -> None:
    noon_ms = NOW_MS // DAY_MS * DAY_MS + DAY_MS // 2
    span = Span(noon_ms - 40 * DAY_MS, noon_ms - 2 * DAY_MS)

    first, *between, last = buckets_of(span, Extent(0, noon_ms), noon_ms)
    *_, today = buckets_of(span_of("30d", noon_ms), Extent(0, noon_ms), noon_ms)

    assert (first.start_ms, last.end_ms) == (span.start_ms, span.end_ms)
    assert [first.is_whole, last.is_whole, today.is_whole] == [False, False, False]
    assert all(bucket.is_whole for bucket in between)


def test_a_span_of_centuries_is_cut_to_what_the_project_has() -> None:
    extent = Extent(NOW_MS - 10 * DAY_MS, NOW_MS)

    buckets = buckets_of(Span(time_ms("1900-01-01", "from"), time_ms("2299-12-31", "to")), extent, NOW_MS)

    assert buckets.step_ms == DAY_MS
    assert next(iter(buckets)).start_ms >= NOW_MS - 91 * DAY_MS


def test_buckets_of_days_begin_at_midnight_of_the_zone() -> None:
    paris = ZoneInfo("Europe/Paris")
    span = Span(*(time_ms(day, "from", paris) for day in ("2026-03-20", "2026-04-19")))

    buckets = buckets_of(span, Extent(None, None), span.end_ms or 0, paris)
    hours = {round((bucket.end_ms - bucket.start_ms) / HOUR_MS) for bucket in buckets}

    assert all(datetime.fromtimestamp(start / 1000, paris).hour == 0 for start in buckets.starts)
    assert hours == {23, 24}
    assert "starts" in buckets.parameters


def test_a_clock_that_is_a_year_ahead_makes_no_chart_of_a_year() -> None:
    extent = Extent(NOW_MS - DAY_MS, NOW_MS + 300 * DAY_MS)

    hour = buckets_of(span_of("1h", NOW_MS), extent, NOW_MS)

    assert hour.step_ms <= 5 * 60_000


def test_days_begin_at_midnight_and_weeks_on_monday() -> None:
    month = buckets_of(span_of("30d", NOW_MS), Extent(None, None), NOW_MS)
    years = buckets_of(Span(), Extent(NOW_MS - 600 * DAY_MS, NOW_MS), NOW_MS)

    assert (month.step_ms, month.start_ms % DAY_MS) == (DAY_MS, 0)
    assert (years.step_ms, (years.start_ms // DAY_MS + 3) % 7) == (7 * DAY_MS, 0)


def test_default_period_is_30_days_or_everything_if_they_are_empty() -> None:
    assert chosen_period("", Extent(0, NOW_MS - DAY_MS), NOW_MS) == "30d"
    assert chosen_period("", Extent(0, NOW_MS - 31 * DAY_MS), NOW_MS) == "all"
    assert chosen_period("", Extent(None, None), NOW_MS) == "30d"
    assert chosen_period("1h", Extent(0, 0), NOW_MS) == "1h"


@pytest.mark.parametrize("text", ["2026-01-31", "2026-01-31T00:00:00Z", "2026-01-31T01:00:00+01:00"])
def test_a_time_is_in_utc_where_it_names_no_zone(text: str) -> None:
    assert time_ms(text, "from") == 1_769_817_600_000


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "9" * 30, "2026-01-31T25:00", "0000-00-00", *BEYOND])
def test_what_is_no_time_is_a_client_error(text: str) -> None:
    with pytest.raises(Problem) as caught:
        time_ms(text, "from")
    assert (caught.value.status, caught.value.code) == (400, "invalid_from")
