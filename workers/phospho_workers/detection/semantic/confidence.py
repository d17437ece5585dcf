"""The confidence of a score of the semantic engine, so that one threshold fits definitions of every kind."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

DEFAULT_THRESHOLD = 0.5
# The score that becomes 0.5. Macro F1 on three domains is flat around it; see docs/detection.md.
EVEN_SCORE = 0.13
STEEPNESS = 10.0


def confidence(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return scores as confidences in [0, 1], in the same order; 0.5 is as likely as not."""
    return logistic(STEEPNESS * (scores - EVEN_SCORE))


def logistic(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 1 / (1 + e^-x) of each, without overflow."""
    return 1.0 / (1.0 + np.exp(-np.clip(logits, -500.0, 500.0)))
