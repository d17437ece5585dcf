"""
The score of a definition in a text: how much more the text shows its event than the events of its rivals.

A cosine by itself says little: a text about money is near every definition of a bank. So a share of the rivals' cosine
is subtracted from the definition's own. The rivals are the project's other definitions, and the events of the library
that the definition does not resemble. Their cosine is a soft maximum, the logarithm of a mean of exponentials.

Even so, some definitions are nearer than others to any text. So each score is counted from a baseline: the score that
97 % of the library's unrelated examples stay below.

The exponentials are integers from a table, and below 2**53 float64 adds integers exactly, in any order. So a score
depends on the text and the project's definitions, and not on the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from phospho_workers.detection.semantic.descriptions import expected_direction, resemblances
from phospho_workers.detection.semantic.library import library
from phospho_workers.detection.text.embedding import Vectors, cosines, directions

# The share of the rivals' soft maximum that is subtracted, and its softness: chosen by the mean of three domains.
_SHARE = 0.6
_WIDTH = 0.04
# An event of the library is kin, and no rival, if it is this close to a definition or lends it this much.
_KIN_COSINE = 0.35
_KIN_RESEMBLANCE = 0.05
# Events that lend a definition less than this are unrelated, and this share of their examples is below the baseline.
_UNRELATED_RESEMBLANCE = 0.02
_UNRELATED_SHARE = 0.97
# Two definitions this close to each other say the same and are no rivals.
_TWIN_COSINE = 0.9
# From so many kin on, a matrix product sums them faster than one sum for each definition. Both are exact.
_MANY = 32
# Numbers held at once, 8 bytes each: some 25 MB.
_NUMBERS_AT_ONCE = 3_000_000
_STEPS = 1000
# From the cosine -1 to 1 by thousandths; at most 2**37, so that 50,000 of them stay below 2**53.
_EXPONENTIALS = np.rint(np.exp(np.linspace(-1.0, 1.0, 2 * _STEPS + 1) / _WIDTH))

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Rivalry:
    """
    The definitions of one side of a project as directions, with their kin, the number of their rivals and the baseline
    of their scores.
    """

    _directions: Vectors
    _kin: _Kin
    _rival_counts: NDArray[np.float64]
    _baselines: NDArray[np.float64]

    def scores(self, texts: Vectors) -> Scores:
        """Return the score of each definition in each of `texts` (directions), shape (texts, definitions)."""
        step = max(1, _NUMBERS_AT_ONCE // (len(self._directions) + self._kin.width))
        return np.vstack([self._scores(texts[begin : begin + step]) for begin in range(0, len(texts), step)])

    def _scores(self, texts: Vectors) -> Scores:
        all_cosines = cosines(texts, self._directions)
        exponentials = _EXPONENTIALS[np.rint(all_cosines * _STEPS).astype(np.int64) + _STEPS]
        of_rivals = exponentials.sum(axis=1)[:, None] - self._kin.sums(exponentials)
        own = all_cosines[:, : len(self._rival_counts)].astype(np.float64)
        margins: Scores = own - _SHARE * _WIDTH * np.log(np.maximum(of_rivals, 1.0) / self._rival_counts)
        return margins - self._baselines


class _Kin:
    """The columns that are no rivals of each definition, at least its own."""

    def __init__(self, is_kin: NDArray[np.bool_]) -> None:
        counts = is_kin.sum(axis=1)
        has_many = counts > _MANY
        self._few, self._many = np.nonzero(~has_many)[0], np.nonzero(has_many)[0]
        self._columns = np.nonzero(is_kin[self._few])[1]
        self._starts = np.cumsum(counts[self._few]) - counts[self._few]
        self._columns_of_many = is_kin[self._many].T.astype(np.float64)

    @property
    def width(self) -> int:
        """The numbers that `sums` makes of a row."""
        return len(self._columns) + len(self._few) + 2 * len(self._many)

    def sums(self, exponentials: Scores) -> Scores:
        """Return the sum over the columns of each definition, shape (texts, definitions)."""
        sums = np.empty((len(exponentials), len(self._few) + len(self._many)))
        if len(self._few):
            sums[:, self._few] = np.add.reduceat(exponentials[:, self._columns], self._starts, axis=1)
        if len(self._many):
            sums[:, self._many] = exponentials @ self._columns_of_many
        return sums


def rivalry(descriptions: Sequence[str]) -> Rivalry:
    """Compile descriptions, each of which has a word piece."""
    of_definitions = directions(np.stack([expected_direction(description) for description in descriptions]))
    of_library = library().directions
    shares = np.stack([resemblances(description) for description in descriptions])
    is_twin = cosines(of_definitions, of_definitions) >= _TWIN_COSINE
    is_close = cosines(of_definitions, of_library) >= _KIN_COSINE
    is_kin = np.hstack([is_twin, is_close | (shares >= _KIN_RESEMBLANCE)])
    np.fill_diagonal(is_kin, True)
    without_baselines = Rivalry(
        np.vstack([of_definitions, of_library]),
        _Kin(is_kin),
        (is_kin.shape[1] - is_kin.sum(axis=1)).astype(np.float64).clip(1.0),
        np.zeros(len(descriptions)),
    )
    return replace(without_baselines, _baselines=_baselines(without_baselines, shares))


def _baselines(rivals: Rivalry, shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the score that 97 % of the unrelated examples stay below, for each definition."""
    scores = rivals.scores(library().example_directions)
    is_unrelated = shares[:, library().example_events] < _UNRELATED_RESEMBLANCE
    columns = range(scores.shape[1])
    return np.array([np.quantile(scores[is_unrelated[column], column], _UNRELATED_SHARE) for column in columns])
