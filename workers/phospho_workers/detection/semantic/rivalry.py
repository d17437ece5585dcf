"""
Margins: how much more a text shows the event of a definition than those of its rivals.

A cosine by itself says little: a text about money is near every definition of a bank. So a share of the rivals' cosine
is subtracted from the definition's own. The rivals are the project's other definitions; their cosine is a soft maximum,
the logarithm of a mean of exponentials. A few rivals say little of what else a text may be about, so their share grows
with their number.

The exponentials are integers from a table, and below 2**53 float64 adds integers exactly, in any order. So a margin
depends on the text and the project's definitions, and not on the batch.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from phospho_workers.detection.text.embedding import Vectors, cosines

# The share of the rivals' soft maximum that is subtracted, of many rivals; the number of rivals with half of it.
_SHARE = 0.7
_RIVALS_OF_HALF = 6
_WIDTH = 0.05
# Two definitions this close to each other say the same and are no rivals.
_TWIN_COSINE = 0.9
# Numbers held at once, 8 bytes each: some 25 MB.
_NUMBERS_AT_ONCE = 3_000_000
_STEPS = 1000
_UNIT = 2.0**8
# From the cosine -1 to 1 by thousandths; at most 2**37, so that 50,000 of them stay below 2**53.
_EXPONENTIALS = np.rint(np.exp(np.linspace(-1.0, 1.0, 2 * _STEPS + 1) / _WIDTH) * _UNIT)

Scores = NDArray[np.float64]


class Margins:
    """The definitions of one side of a project as directions in one space."""

    def __init__(self, of_definitions: Vectors) -> None:
        """Take a direction for each definition, shape (definitions, dimensions)."""
        self._directions = of_definitions
        self._twins = cosines(of_definitions, of_definitions) >= _TWIN_COSINE
        np.fill_diagonal(self._twins, True)
        self._rival_counts = (len(of_definitions) - self._twins.sum(axis=1)).astype(np.float64)
        self._shares = _SHARE * self._rival_counts / (self._rival_counts + _RIVALS_OF_HALF)
        self._twins_as_weights = self._twins.astype(np.float64)
        self._has_twins = bool(self._twins.sum() > len(of_definitions))

    def of(self, texts: Vectors) -> Scores:
        """Return the margin of each definition in each of `texts` (directions), shape (texts, definitions)."""
        step = max(1, _NUMBERS_AT_ONCE // max(1, 2 * len(self._directions)))
        parts = [self._of(texts[begin : begin + step]) for begin in range(0, len(texts), step)]
        return np.vstack(parts) if len(parts) != 1 else parts[0]

    def _of(self, texts: Vectors) -> Scores:
        own = cosines(texts, self._directions)
        if not self._shares.any():
            return own.astype(np.float64)
        exponentials = _EXPONENTIALS[np.rint(own * _STEPS).astype(np.int64) + _STEPS]
        of_twins = exponentials @ self._twins_as_weights if self._has_twins else exponentials
        of_rivals = np.maximum(exponentials.sum(axis=1)[:, None] - of_twins, 1.0)
        soft_maxima = _WIDTH * np.log(of_rivals / (_UNIT * np.maximum(self._rival_counts, 1.0)))
        margins: Scores = own - self._shares * soft_maxima
        return margins
