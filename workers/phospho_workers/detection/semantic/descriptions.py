"""
A description compiled into a direction: where a text that shows the event is expected to point.

It is the sum of what the description says and of what people say at the events of the library that it resembles.
Every constant was chosen by the mean over three domains, of which none had its own file of the library at hand, and
again with the whole library: see docs/detection.md.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from phospho_workers.detection.semantic.description_core import description_core
from phospho_workers.detection.semantic.library import library
from phospho_workers.detection.text.embedding import MAX_PIECES, embedder, unit

Vector = NDArray[np.float64]

# A resemblance of 0.55 is as good as none: there an event of the library weighs 1/2, and 0.05 below it 1/4.
_RESEMBLANCE = 0.55
_RESEMBLANCE_WIDTH = 0.05
# What is said at the event, against what its description says.
_EXAMPLES_WEIGHT = 1.5
# Of what all descriptions have in common, a half is taken off.
_COMMON_SHARE = 0.5
_MAX_CACHED = 10_000


@functools.lru_cache(maxsize=_MAX_CACHED)
def resemblances(description: str) -> Vector:
    """Return how much each event of the library counts for a description; together at most 1, often nearly 0."""
    known = library()
    said = _said(description)
    cosines = known.names @ unit((said - known.mean_name)[None, :])[0]
    weights = np.exp((cosines - _RESEMBLANCE) / _RESEMBLANCE_WIDTH)
    shares: Vector = weights / (1.0 + weights.sum())
    return shares


@functools.lru_cache(maxsize=_MAX_CACHED)
def expected(description: str) -> Vector:
    """Return the unit vector of what is said where the description holds; the description has a word piece."""
    known = library()
    named = unit((_said(description) - _COMMON_SHARE * known.mean_name)[None, :])[0]
    borrowed = resemblances(description) @ known.examples
    both: Vector = unit((named + _EXAMPLES_WEIGHT * borrowed)[None, :])[0]
    return both


def _said(description: str) -> Vector:
    model = embedder()
    pieces = model.pieces(description_core(description))[:MAX_PIECES]
    said: Vector = unit(model.sums([pieces]))[0]
    return said
