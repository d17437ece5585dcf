"""
Spherical clustering with an automatic number of clusters, in numpy.

K-means makes many small clusters. Ward's method joins them two by two, and the number of clusters is the largest whose
simplified silhouette is near the best one. K-means then moves the rows between the joined clusters.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from phospho_workers.detection.text.embedding import unit

Matrix = NDArray[np.float64]
Rows = NDArray[np.float32]
Labels = NDArray[np.int64]

MAX_CLUSTERS = 250
_MAX_SMALL_CLUSTERS = 350
_ROWS_PER_SMALL_CLUSTER = 12
_SMALL_ITERATIONS = 12
_FINAL_ITERATIONS = 10
_CANDIDATES = 3
# Of numbers of clusters whose silhouettes differ by less than this share, the largest: people merge more easily than
# they split.
_NEAR_BEST = 0.98
_ROWS_AT_ONCE = 4_096


def cluster(rows: Rows, min_size: int, seed: int = 0) -> Matrix:
    """
    Return the unit centers of the clusters of unit rows, shape (clusters, dimensions); none of fewer than two of them.

    A cluster has at least `min_size` rows. Pure: the same rows in the same order give the same centers.
    """
    if len(rows) < 2 * min_size:
        return unit(rows.sum(axis=0, dtype=np.float64)[None, :]) if len(rows) >= min_size else rows[:0].astype(float)
    rng = np.random.default_rng(seed)
    small = min(_MAX_SMALL_CLUSTERS, max(2, len(rows) // _ROWS_PER_SMALL_CLUSTER))
    centers = k_means(rows, spread_out(rows, small, rng), _SMALL_ITERATIONS)
    labels = nearest(rows, centers)[0]
    joined = _joined(rows, labels, len(centers))
    return without_small(rows, k_means(rows, joined, _FINAL_ITERATIONS), min_size)


def k_means(rows: Rows, centers: Matrix, iterations: int) -> Matrix:
    """Return the centers after at most so many rounds of spherical k-means; empty clusters are left out."""
    for _ in range(iterations):
        labels, _ = nearest(rows, centers)
        moved = unit(sums(rows, labels, len(centers)))
        moved = moved[moved.any(axis=1)]
        if len(moved) == len(centers) and np.abs(moved - centers).max() < 1e-4:
            return moved
        centers = moved
    return centers


def nearest(rows: Rows, centers: Matrix) -> tuple[Labels, Matrix]:
    """Return the nearest center of each row, and their cosine."""
    labels = np.empty(len(rows), dtype=np.int64)
    scores = np.empty(len(rows))
    targets = centers.T.astype(np.float32)
    for begin in range(0, len(rows), _ROWS_AT_ONCE):
        similarities = rows[begin : begin + _ROWS_AT_ONCE] @ targets
        best = similarities.argmax(axis=1)
        labels[begin : begin + len(best)] = best
        scores[begin : begin + len(best)] = similarities[np.arange(len(best)), best]
    return labels, scores


def sums(rows: Rows, labels: Labels, count: int) -> Matrix:
    """Return the sum of the rows of each label, shape (count, dimensions)."""
    totals = np.zeros((count, rows.shape[1]))
    order = np.argsort(labels, kind="stable")
    in_order = labels[order]
    starts = np.flatnonzero(np.r_[True, in_order[1:] != in_order[:-1]])
    totals[in_order[starts]] = np.add.reduceat(rows[order], starts, axis=0, dtype=np.float64)
    return totals


def without_small(rows: Rows, centers: Matrix, min_size: int) -> Matrix:
    """Return the centers that still have `min_size` rows when those of smaller clusters went to the next center."""
    while len(centers):
        sizes = np.bincount(nearest(rows, centers)[0], minlength=len(centers))
        if sizes.min() >= min_size:
            return centers
        centers = np.delete(centers, int(sizes.argmin()), axis=0)
    return centers


def ward_joins(totals: Matrix, sizes: NDArray[np.float64]) -> list[tuple[int, int]]:
    """
    Return the joins of Ward's method from clusters with these sums and sizes to one: the second goes into the first.
    """
    totals, sizes = totals.copy(), sizes.astype(np.float64).copy()
    costs = np.full((len(sizes), len(sizes)), np.inf)
    alive = np.flatnonzero(sizes > 0)
    for cluster_index in alive:
        costs[cluster_index, alive] = _join_costs(totals, sizes, int(cluster_index), alive)
    np.fill_diagonal(costs, np.inf)
    joins = []
    while len(alive) > 1:
        kept, gone = divmod(int(costs.argmin()), len(sizes))
        joins.append((kept, gone))
        totals[kept] += totals[gone]
        sizes[kept] += sizes[gone]
        costs[gone, :] = costs[:, gone] = np.inf
        alive = alive[alive != gone]
        others = alive[alive != kept]
        costs[kept, others] = costs[others, kept] = _join_costs(totals, sizes, kept, others)
    return joins


def _join_costs(totals: Matrix, sizes: NDArray[np.float64], cluster_index: int, others: Labels) -> NDArray[np.float64]:
    means = totals[others] / sizes[others, None]
    distances = ((means - totals[cluster_index] / sizes[cluster_index]) ** 2).sum(axis=1)
    costs: NDArray[np.float64] = (
        sizes[cluster_index] * sizes[others] / (sizes[cluster_index] + sizes[others]) * distances
    )
    return costs


def _joined(rows: Rows, labels: Labels, count: int) -> Matrix:
    """Return the centers of the chosen number of clusters, joined from small ones."""
    totals = sums(rows, labels, count)
    sizes = np.bincount(labels, minlength=count).astype(np.float64)
    joins = ward_joins(totals, sizes)
    alive = int((sizes > 0).sum())
    cluster_numbers = _numbers_to_try(alive)
    owners = np.arange(count)
    silhouettes: dict[int, float] = {}
    states: dict[int, Labels] = {}
    for join_number, (kept, gone) in enumerate(joins):
        clusters = alive - join_number
        if clusters in cluster_numbers:
            states[clusters] = owners.copy()
            silhouettes[clusters] = _silhouette(rows, _centers_of(totals, owners))
        owners[owners == gone] = kept
    if not silhouettes:
        return _centers_of(totals, owners)
    best = max(silhouettes.values())
    best_count = max(clusters for clusters, value in silhouettes.items() if value >= best * _NEAR_BEST)
    return _centers_of(totals, states[best_count])


def _numbers_to_try(most: int) -> set[int]:
    """Return the numbers of clusters whose silhouettes are compared: each of a few, then every twentieth part."""
    cluster_numbers, number = set(), 2.0
    while number <= min(most, MAX_CLUSTERS):
        cluster_numbers.add(int(number))
        number = max(number + 1, number * 1.06)
    return cluster_numbers


def _centers_of(totals: Matrix, owners: Sequence[int] | Labels) -> Matrix:
    joined = np.zeros_like(totals)
    np.add.at(joined, np.asarray(owners), totals)
    centers = unit(joined)
    return centers[centers.any(axis=1)]


def _silhouette(rows: Rows, centers: Matrix) -> float:
    """Return the mean of how much nearer rows are to their center than to the next one."""
    total = 0.0
    targets = centers.T.astype(np.float32)
    for begin in range(0, len(rows), _ROWS_AT_ONCE):
        similarities = np.partition(rows[begin : begin + _ROWS_AT_ONCE] @ targets, -2, axis=1)
        own, other = 1.0 - similarities[:, -1], 1.0 - similarities[:, -2]
        total += float(((other - own) / np.maximum(other, 1e-9)).sum())
    return total / len(rows)


def spread_out(rows: Rows, count: int, rng: np.random.Generator) -> Matrix:
    """Return rows that are far from each other (greedy k-means++)."""
    starts = [int(rng.integers(len(rows)))]
    distances = np.maximum(1.0 - rows @ rows[starts[0]], 0.0)
    while len(starts) < count and (total := float(distances.sum(dtype=np.float64))) > 1e-6:
        at = np.searchsorted(np.cumsum(distances, dtype=np.float64), rng.random(_CANDIDATES) * total)
        candidates = np.minimum(at, len(rows) - 1)
        after = np.minimum(distances[:, None], 1.0 - rows @ rows[candidates].T)
        best = int(after.sum(axis=0).argmin())
        starts.append(int(candidates[best]))
        distances = np.maximum(after[:, best], 0.0)
    return rows[starts].astype(np.float64)
