"""Intervals hold at every look: tried by watching many runs of chance, always with the same seed."""

from __future__ import annotations

import numpy as np
import pytest

from phospho_dashboard.confidence import Interval, difference, mean_interval, rate_interval

RUNS = 200
# More and more seldom: 40 looks between 10 and 2,000 values.
LOOKS = tuple(sorted({round(10 * 200 ** (step / 40)) for step in range(41)}))


def share_of_runs_ever_outside(rate: float, alpha: float) -> float:
    """Return in how many of RUNS the rate was outside the interval at one of LOOKS at least."""
    chance = np.random.default_rng(20261121)
    outside = 0
    for _ in range(RUNS):
        found = (chance.random(LOOKS[-1]) < rate).cumsum()
        outside += any(not holds(rate_interval(int(found[n - 1]), n, alpha), rate) for n in LOOKS)
    return outside / RUNS


def holds(interval: Interval | None, value: float) -> bool:
    assert interval is not None
    return interval.lower <= value <= interval.upper


@pytest.mark.parametrize("rate", [0.02, 0.3, 0.9])
def test_a_rate_is_ever_outside_its_interval_in_at_most_alpha_of_the_runs(rate: float) -> None:
    assert share_of_runs_ever_outside(rate, 0.2) <= 0.2


def test_a_usual_interval_would_be_wrong_in_most_runs_that_are_watched() -> None:
    """What the sequence is for: 1.28 standard errors, 80 % at one look, fail under the eyes of who looks often."""
    chance = np.random.default_rng(20261121)
    n = np.array(LOOKS)
    outside = 0
    for _ in range(RUNS):
        share = (chance.random(LOOKS[-1]) < 0.3).cumsum()[n - 1] / n
        outside += bool(np.any(abs(share - 0.3) > 1.28 * np.sqrt(share * (1 - share) / n)))
    assert outside / RUNS > 0.5


def test_a_mean_is_ever_outside_its_interval_in_at_most_alpha_of_the_runs() -> None:
    chance = np.random.default_rng(20261121)
    outside = 0
    for _ in range(RUNS):
        values = chance.exponential(2.0, LOOKS[-1])
        totals, squares = values.cumsum(), (values**2).cumsum()
        looks = ((n, mean_interval(n, float(totals[n - 1]), float(squares[n - 1]), 0.2)) for n in LOOKS if n >= 30)
        outside += any(not holds(interval, 2.0) for _, interval in looks)
    assert outside / RUNS <= 0.2


def test_an_interval_narrows_around_the_estimate_as_more_is_seen() -> None:
    widths = []
    for n in (10, 100, 1000, 10_000):
        interval = rate_interval(3 * n // 10, n)
        assert interval is not None
        assert interval.lower < interval.estimate < interval.upper
        widths.append(interval.upper - interval.lower)
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] < 0.04


def test_the_ends_of_the_scale_are_in_reach_where_nothing_speaks_against_them() -> None:
    never, always = rate_interval(0, 50), rate_interval(50, 50)
    assert never is not None
    assert always is not None
    assert (never.estimate, never.lower) == (0.0, 0.0)
    assert (always.estimate, always.upper) == (1.0, 1.0)
    assert 0.05 < never.upper < 0.25
    assert always.lower == pytest.approx(1 - never.upper)


def test_too_little_has_no_interval() -> None:
    assert rate_interval(0, 0) is None
    assert mean_interval(29, 29.0, 29.0) is None


def test_millions_of_trials_are_no_trouble() -> None:
    interval = rate_interval(3_000_000, 10_000_000)
    assert interval is not None
    assert 0.299 < interval.lower < 0.3 < interval.upper < 0.301


def test_a_difference_is_as_wide_as_both_intervals_together() -> None:
    delta = difference(Interval(0.5, 0.4, 0.6), Interval(0.8, 0.7, 0.9))

    assert (delta.estimate, delta.lower, delta.upper) == pytest.approx((0.3, 0.1, 0.5))
