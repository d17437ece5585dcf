"""
The share of intervals, watched at every session, that promise too much: `python -m benchmarks.confidence`.

For each kind of values: the share of runs in which the mean was ever outside its 95 % interval, and in which two equal
versions were ever told apart, with as many sessions each and with ten times as many of the one. Five minutes.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from phospho_store.confidence import ALPHA, Interval, difference, mean_interval

Values = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int], Values]

SEED = 20261121
FIRST = 30


def _lognormal(sigma: float) -> tuple[Draw, float]:
    return lambda chance, n: chance.lognormal(0.0, sigma, n), math.exp(sigma * sigma / 2)


def _rare(chance: np.random.Generator, n: int) -> Values:
    """One in fifty is fifty times as large as the others."""
    return np.where(chance.random(n) < 0.02, 50.0, 1.0) * chance.exponential(1.0, n)


# A name, what draws the values, and their mean.
KINDS: tuple[tuple[str, Draw, float], ...] = (
    ("sentiments", lambda chance, n: chance.choice([-0.8, 0.0, 0.8], n, p=[0.1, 0.5, 0.4]), 0.24),
    ("exponential", lambda chance, n: chance.exponential(2.0, n), 2.0),
    ("lognormal, sigma 1", *_lognormal(1.0)),
    ("lognormal, sigma 1.5", *_lognormal(1.5)),
    ("lognormal, sigma 2", *_lognormal(2.0)),
    ("rare and large", _rare, 1.98),
)


def main() -> None:
    """Print a line for each kind of values."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.confidence", description=main.__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--sessions", type=int, default=3000)
    options = parser.parse_args()
    print("| values | mean outside | equal versions told apart | one with ten times the sessions |")
    print("| --- | --- | --- | --- |")
    for name, draw, mean in KINDS:
        chance = np.random.default_rng(SEED)
        runs = [_run(draw, mean, chance, options.sessions) for _ in range(options.runs)]
        shares = (f"{100 * sum(one[place] for one in runs) / len(runs):.1f} %" for place in range(3))
        print(f"| {name} | {' | '.join(shares)} |", flush=True)


def _run(draw: Draw, mean: float, chance: np.random.Generator, sessions: int) -> tuple[bool, bool, bool]:
    values, others, many = draw(chance, sessions), draw(chance, sessions), draw(chance, 10 * sessions)
    is_outside = any(not one.lower <= mean <= one.upper for one in _watched(values, ALPHA))
    base = list(_watched(values, ALPHA / 2))
    return is_outside, _parted(base, _watched(others, ALPHA / 2)), _parted(base, _watched(many, ALPHA / 2, step=10))


def _watched(values: Values, alpha: float, step: int = 1) -> Iterator[Interval]:
    """Yield the interval after every `step` values from FIRST steps on."""
    totals, squares = values.cumsum().tolist(), (values**2).cumsum().tolist()
    for n in range(FIRST * step, len(values) + 1, step):
        interval = mean_interval(n, totals[n - 1], squares[n - 1], alpha)
        if interval is not None:
            yield interval


def _parted(base: list[Interval], others: Iterator[Interval]) -> bool:
    deltas = (difference(one, other) for one, other in zip(base, others, strict=True))
    return any(delta.lower > 0 or delta.upper < 0 for delta in deltas)


if __name__ == "__main__":
    main()
