"""
How much more a text shows one event than it shows others.

A cosine by itself says little: a text about money is near every definition of a bank. So from each definition's
cosine a share of its rivals' is taken: of the project's other definitions, and of those events of the library that
the definition does not resemble. The rivals' is their soft maximum, the logarithm of a mean of exponentials.

Even so, some definitions come nearer than others to whatever is said. So each score is counted from what the
definition scores for nearly all examples of the library that have nothing to do with it.

The exponentials are integers out of a table, and below 2**53 float64 adds integers exactly, in any order. So a score
depends on the text and the project's definitions, and not on the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from phospho_workers.detection.semantic.descriptions import expected, resemblances
from phospho_workers.detection.semantic.library import library
from phospho_workers.detection.text.embedding import Vectors, cosines, directions

# What is taken off, of the rivals' soft maximum, and how soft that is: by the mean of three domains.
_SHARE = 0.6
_WIDTH = 0.04
# An event of the library is no rival where it is this close to a definition, or lends it this much.
_KIN_COSINE = 0.35
_KIN_RESEMBLANCE = 0.05
# Of the examples of events that lend a definition less than this, so many score below what its scores count from.
_FOREIGN_RESEMBLANCE = 0.02
_FOREIGN_SHARE = 0.97
# Two definitions this close to each other say the same; neither is the other's rival.
_TWIN_COSINE = 0.9
# From so many rivals that do not count, theirs are summed by a product of matrices, whatever their number; of fewer
# a sum of each is the faster way. Both are exact.
_CROWD = 32
# Numbers held at once, 8 bytes each: some 25 MB.
_NUMBERS_AT_ONCE = 3_000_000
_STEPS = 1000
# From the cosine -1 to 1 by thousandths; at most 2**37, so that 50,000 of them stay below 2**53.
_EXPONENTIALS = np.rint(np.exp(np.linspace(-1.0, 1.0, 2 * _STEPS + 1) / _WIDTH))

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Rivalry:
    """The definitions of one side of a project as directions, and for each of them which rivals do not count."""

    _directions: Vectors
    _kin: _Kin
    _rivals: NDArray[np.float64]
    _usual: NDArray[np.float64]

    def scores(self, texts: Vectors) -> Scores:
        """Return what each of `texts` (directions) scores for each definition, shape (texts, definitions)."""
        step = max(1, _NUMBERS_AT_ONCE // (len(self._directions) + self._kin.width))
        return np.vstack([self._scores(texts[begin : begin + step]) for begin in range(0, len(texts), step)])

    def _scores(self, texts: Vectors) -> Scores:
        near = cosines(texts, self._directions)
        exponentials = _EXPONENTIALS[np.rint(near * _STEPS).astype(np.int64) + _STEPS]
        others = exponentials.sum(axis=1)[:, None] - self._kin.sums(exponentials)
        own = near[:, : len(self._rivals)].astype(np.float64)
        margins: Scores = own - _SHARE * _WIDTH * np.log(np.maximum(others, 1.0) / self._rivals)
        return margins - self._usual


class _Kin:
    """For each definition the columns that are no rivals of it; each has one at least, its own."""

    def __init__(self, is_kin: NDArray[np.bool_]) -> None:
        counts = is_kin.sum(axis=1)
        is_crowd = counts > _CROWD
        self._few, self._crowds = np.nonzero(~is_crowd)[0], np.nonzero(is_crowd)[0]
        self._columns = np.nonzero(is_kin[self._few])[1]
        self._starts = np.cumsum(counts[self._few]) - counts[self._few]
        self._crowd_columns = is_kin[self._crowds].T.astype(np.float64)

    @property
    def width(self) -> int:
        """How many numbers `sums` makes of a row."""
        return len(self._columns) + len(self._few) + 2 * len(self._crowds)

    def sums(self, exponentials: Scores) -> Scores:
        """Return for each definition the sum over its columns, shape (texts, definitions)."""
        sums = np.empty((len(exponentials), len(self._few) + len(self._crowds)))
        if len(self._few):
            sums[:, self._few] = np.add.reduceat(exponentials[:, self._columns], self._starts, axis=1)
        if len(self._crowds):
            sums[:, self._crowds] = exponentials @ self._crowd_columns
        return sums


def rivalry(descriptions: Sequence[str]) -> Rivalry:
    """Compile descriptions, of which each has a word piece."""
    rows = np.stack([expected(description) for description in descriptions])
    known = library().directions
    lent = np.stack([resemblances(description) for description in descriptions])
    pointing = directions(rows)
    is_twin = cosines(pointing, pointing) >= _TWIN_COSINE
    is_kin = np.hstack([is_twin, (cosines(pointing, known) >= _KIN_COSINE) | (lent >= _KIN_RESEMBLANCE)])
    np.fill_diagonal(is_kin, True)
    uncounted = Rivalry(
        np.vstack([pointing, known]),
        _Kin(is_kin),
        (is_kin.shape[1] - is_kin.sum(axis=1)).astype(np.float64).clip(1.0),
        np.zeros(len(rows)),
    )
    return replace(uncounted, _usual=_usual(uncounted, lent))


def _usual(uncounted: Rivalry, lent: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what each definition scores for the best but 3 % of what is foreign to it."""
    scores = uncounted.scores(library().said)
    is_foreign = lent[:, library().events] < _FOREIGN_RESEMBLANCE
    columns = range(scores.shape[1])
    return np.array([np.quantile(scores[is_foreign[column], column], _FOREIGN_SHARE) for column in columns])
