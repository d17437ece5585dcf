"""
New themes beside old ones: texts that came since the last model, where few texts were before.

A text that is near an old theme has that theme, whatever it is about. So new themes are looked for by density: of the
neighbours of a text, the share that is new is compared with that of all texts. Where it is much greater, a group of
new texts that is as close together as other themes is a theme of its own.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from phospho_workers.detection.text.embedding import unit
from phospho_workers.detection.themes.clustering import Labels, Rows, k_means, nearest

# Neighbours of a text whose age is asked for.
_NEIGHBOURS = 25
# The odds that a neighbour is new, against those of all texts.
_MIN_ODDS = 2.0
_ROWS_AT_ONCE = 1_024
_ITERATIONS = 20

Flags = NDArray[np.bool_]


def densely_new(rows: Rows, is_new: Flags) -> Labels:
    """Return the indexes of the new unit rows among whose neighbours many more are new than among all."""
    new = np.flatnonzero(is_new)
    if not len(new) or len(rows) <= _NEIGHBOURS or len(new) == len(rows):
        return new[:0]
    share = len(new) / len(rows)
    counts = np.concatenate(
        [_new_neighbours(rows, is_new, new[at : at + _ROWS_AT_ONCE]) for at in range(0, len(new), _ROWS_AT_ONCE)]
    )
    # One neighbour more, of the age that is to be expected: few neighbours prove little.
    shares = (counts + share) / (_NEIGHBOURS + 1)
    odds = shares / (1 - shares) / (share / (1 - share))
    return new[odds >= _MIN_ODDS]


def _new_neighbours(rows: Rows, is_new: Flags, of: Labels) -> NDArray[np.int64]:
    similarities = rows[of] @ rows.T
    similarities[np.arange(len(of)), of] = -np.inf
    neighbours = np.argpartition(-similarities, _NEIGHBOURS, axis=1)[:, :_NEIGHBOURS]
    counts: NDArray[np.int64] = is_new[neighbours].sum(axis=1)
    return counts


def close_groups(rows: Rows, min_size: int, min_cohesion: float) -> list[Rows]:
    """
    Return the largest groups of unit rows that are close together, each of at least `min_size`.

    Rows are cut in two until the mean cosine with the center of their group is at least `min_cohesion`.
    """
    groups, waiting = [], [rows]
    while waiting:
        members = waiting.pop()
        if len(members) < min_size:
            continue
        center = unit(members.sum(axis=0, dtype=np.float64)[None, :])
        scores = nearest(members, center)[1]
        if float(scores.mean()) >= min_cohesion:
            groups.append(members)
        else:
            waiting += _halves(members, int(scores.argmin()))
    return groups


def _halves(rows: Rows, first: int) -> list[Rows]:
    """Return the rows in two parts, from one row and the one that is least like it; none where they can't be cut."""
    second = int((rows @ rows[first]).argmin())
    centers = k_means(rows, rows[[first, second]].astype(np.float64), _ITERATIONS)
    labels = nearest(rows, centers)[0]
    parts = [rows[labels == label] for label in range(len(centers))]
    return [part for part in parts if len(part) < len(rows)]
