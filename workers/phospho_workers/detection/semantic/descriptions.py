"""
Descriptions compiled into directions: the direction in which a text that shows the event is expected to point.

It is the sum of the description itself and of the examples of the library's events that it resembles. Every constant
was chosen by the mean over three domains, first without the library's file of the domain and then with the whole
library: see docs/detection.md.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from phospho_workers.detection.semantic.library import description_core, library
from phospho_workers.detection.text.embedding import MAX_PIECES, embedder, unit

Vector = NDArray[np.float64]

# The cosine at which an event of the library gets half of the weight, and the width of the transition.
_RESEMBLANCE = 0.55
_RESEMBLANCE_WIDTH = 0.05
# The weight of the examples, where that of the description is 1.
_EXAMPLES_WEIGHT = 0.7
# The share of the mean of all descriptions that is subtracted.
_COMMON_SHARE = 0.5
_MAX_CACHED = 10_000


@functools.lru_cache(maxsize=_MAX_CACHED)
def resemblances(description: str) -> Vector:
    """Return the share of each event of the library in a description; together at most 1, often nearly 0."""
    events = library()
    vector = _vector(description)
    cosines = events.names @ unit((vector - events.mean_name)[None, :])[0]
    weights = np.exp((cosines - _RESEMBLANCE) / _RESEMBLANCE_WIDTH)
    shares: Vector = weights / (1.0 + weights.sum())
    return shares


@functools.lru_cache(maxsize=_MAX_CACHED)
def expected_direction(description: str) -> Vector:
    """Return the unit vector of texts that are expected to show the event; the description has a word piece."""
    events = library()
    own = unit((_vector(description) - _COMMON_SHARE * events.mean_name)[None, :])[0]
    borrowed = resemblances(description) @ events.examples
    direction: Vector = unit((own + _EXAMPLES_WEIGHT * borrowed)[None, :])[0]
    return direction


def _vector(description: str) -> Vector:
    model = embedder()
    pieces = model.pieces(description_core(description))[:MAX_PIECES]
    vector: Vector = unit(model.sums([pieces]))[0]
    return vector
