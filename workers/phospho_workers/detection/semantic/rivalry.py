"""
Margins: how much more a text shows the event of a definition than those of its rivals.

A cosine by itself says little: a text about money is near every definition of a bank. So a share of the rivals' cosine
is subtracted from the definition's own. The rivals are the project's other definitions; their cosine is a soft maximum,
the logarithm of a mean of exponentials. A few definitions say little of what else a text may be about, so stand-ins
fill them up to a number: the events of the library that are not near the definition. Fewer rivals have a smaller share.

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
# Stand-ins fill up fewer rivals than this; one this close to a definition is no rival of it.
_ENOUGH_RIVALS = 16
_KIN_COSINE = 0.5
# Numbers held at once, 8 bytes each: some 25 MB.
_NUMBERS_AT_ONCE = 3_000_000
_STEPS = 1000
_UNIT = 2.0**8
# From the cosine -1 to 1 by thousandths; at most 2**37, so that 50,000 of them stay below 2**53.
_EXPONENTIALS = np.rint(np.exp(np.linspace(-1.0, 1.0, 2 * _STEPS + 1) / _WIDTH) * _UNIT)

Scores = NDArray[np.float64]


class Margins:
    """The definitions of one side of a project as directions in one space."""

    def __init__(self, of_definitions: Vectors, stand_ins: Vectors | None = None) -> None:
        """Take a direction for each definition, shape (definitions, dimensions), and those of possible stand-ins."""
        self._directions = of_definitions
        self._twins = cosines(of_definitions, of_definitions) >= _TWIN_COSINE
        np.fill_diagonal(self._twins, True)
        rivals = (len(of_definitions) - self._twins.sum(axis=1)).astype(np.float64)
        self._twins_as_weights = self._twins.astype(np.float64)
        self._has_twins = bool(self._twins.sum() > len(of_definitions))
        self._stand_ins: Vectors | None = None
        if stand_ins is not None and (rivals < _ENOUGH_RIVALS).any():
            is_kin = cosines(stand_ins, of_definitions) >= _KIN_COSINE
            missing = np.maximum(_ENOUGH_RIVALS - rivals, 0.0)
            self._stand_ins, self._are_rivals = stand_ins, (~is_kin).astype(np.float64)
            self._weights = missing / np.maximum(self._are_rivals.sum(axis=0), 1.0)
            rivals += missing
        self._shares = _SHARE * rivals / (rivals + _RIVALS_OF_HALF)
        self._units = _UNIT * np.maximum(rivals, 1.0)

    def of(self, texts: Vectors) -> Scores:
        """Return the margin of each definition in each of `texts` (directions), shape (texts, definitions)."""
        width = 2 * len(self._directions) + (0 if self._stand_ins is None else len(self._stand_ins))
        step = max(1, _NUMBERS_AT_ONCE // max(1, width))
        parts = [self._of(texts[begin : begin + step]) for begin in range(0, len(texts), step)]
        return np.vstack(parts) if len(parts) != 1 else parts[0]

    def _of(self, texts: Vectors) -> Scores:
        own = cosines(texts, self._directions)
        if not self._shares.any():
            return own.astype(np.float64)
        exponentials = _exponentials(own)
        of_twins = exponentials @ self._twins_as_weights if self._has_twins else exponentials
        of_rivals = exponentials.sum(axis=1)[:, None] - of_twins
        if self._stand_ins is not None:
            of_rivals += _exponentials(cosines(texts, self._stand_ins)) @ self._are_rivals * self._weights
        margins: Scores = own - self._shares * (_WIDTH * np.log(np.maximum(of_rivals, 1.0) / self._units))
        return margins


def _exponentials(of_cosines: Vectors) -> Scores:
    steps = (np.rint(of_cosines * _STEPS) + _STEPS).astype(np.int64)
    # The mode is the fast one; no step is outside the table.
    return _EXPONENTIALS.take(steps, mode="clip")
