"""Periods: what a URL names, which time a page shows without one, and equal buckets that cover it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phospho_dashboard.periods import MAX_BUCKETS, PERIODS, Extent, Span, buckets_of, chosen_period, span_of, time_ms
from phospho_schemas.errors import Problem

DAY_MS = 86_400_000
NOW_MS = 1_780_000_000_000
times = st.integers(946_684_800_000, NOW_MS)


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


def test_days_begin_at_midnight_and_weeks_on_monday() -> None:
    month = buckets_of(span_of("30d", NOW_MS), Extent(None, None), NOW_MS)
    years = buckets_of(Span(), Extent(NOW_MS - 600 * DAY_MS, NOW_MS), NOW_MS)

    assert (month.step_ms, month.start_ms % DAY_MS) == (DAY_MS, 0)
    assert (years.step_ms, (years.start_ms // DAY_MS + 3) % 7) == (7 * DAY_MS, 0)


def test_without_a_period_a_page_shows_30_days_or_everything_where_they_hold_nothing() -> None:
    assert chosen_period("", Extent(0, NOW_MS - DAY_MS), NOW_MS) == "30d"
    assert chosen_period("", Extent(0, NOW_MS - 31 * DAY_MS), NOW_MS) == "all"
    assert chosen_period("", Extent(None, None), NOW_MS) == "30d"
    assert chosen_period("1h", Extent(0, 0), NOW_MS) == "1h"


@pytest.mark.parametrize("text", ["2026-01-31", "2026-01-31T00:00:00Z", "2026-01-31T01:00:00+01:00"])
def test_a_time_is_in_utc_where_it_names_no_zone(text: str) -> None:
    assert time_ms(text, "from") == 1_769_817_600_000


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "9" * 30, "2026-01-31T25:00", "0000-00-00"])
def test_what_is_no_time_is_a_client_error(text: str) -> None:
    with pytest.raises(Problem) as caught:
        time_ms(text, "from")
    assert (caught.value.status, caught.value.code) == (400, "invalid_from")
