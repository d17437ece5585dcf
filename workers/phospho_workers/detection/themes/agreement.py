"""Adjusted mutual information: how well two groupings of the same things agree, with chance taken out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def adjusted_mutual_information(first: Sequence[str], second: Sequence[str]) -> float:
    """Return 1 where both groupings are the same, and about 0 where they have nothing in common (Vinh et al., 2010)."""
    counts = _contingency(first, second)
    of_first, of_second, total = counts.sum(axis=1), counts.sum(axis=0), int(counts.sum())
    mean_entropy = (_entropy(of_first, total) + _entropy(of_second, total)) / 2
    expected = _expected(of_first, of_second, total)
    if abs(mean_entropy - expected) < 1e-12:
        return 1.0
    rows, columns = np.nonzero(counts)
    cells = counts[rows, columns].astype(np.float64)
    products = of_first[rows].astype(np.float64) * of_second[columns]
    mutual = float((cells / total * np.log(total * cells / products)).sum())
    return float((mutual - expected) / (mean_entropy - expected))


def _contingency(first: Sequence[str], second: Sequence[str]) -> NDArray[np.int64]:
    first_names, rows = np.unique(np.array(first, dtype=object).astype(str), return_inverse=True)
    second_names, columns = np.unique(np.array(second, dtype=object).astype(str), return_inverse=True)
    counts = np.zeros((len(first_names), len(second_names)), dtype=np.int64)
    np.add.at(counts, (rows, columns), 1)
    return counts


def _entropy(sizes: NDArray[np.int64], total: int) -> float:
    shares = sizes[sizes > 0] / total
    return float(-(shares * np.log(shares)).sum())


def _expected(of_first: NDArray[np.int64], of_second: NDArray[np.int64], total: int) -> float:
    """Return the mean mutual information of groupings with these sizes (hypergeometric), each pair of sizes once."""
    logs = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, total + 1)))])
    expected = 0.0
    for a, a_groups in zip(*np.unique(of_first, return_counts=True), strict=True):
        for b, b_groups in zip(*np.unique(of_second, return_counts=True), strict=True):
            n = np.arange(max(1, a + b - total), min(a, b) + 1)
            chances = logs[a] + logs[b] + logs[total - a] + logs[total - b] - logs[total]
            chances = np.exp(chances - logs[n] - logs[a - n] - logs[b - n] - logs[total - a - b + n])
            expected += a_groups * b_groups * float((n / total * np.log(total * n / (a * b)) * chances).sum())
    return expected
