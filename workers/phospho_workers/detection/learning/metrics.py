"""Average precision and F1, as scikit-learn defines them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def average_precision(scores: NDArray[np.float64], is_event: NDArray[np.bool_]) -> float:
    """
    Return the mean of the precisions at each positive, from the highest score down; equal scores count as one step.

    There must be a positive. It is 1 where every positive scores above every negative, and the share of positives
    where all scores are equal.
    """
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    is_last_of_equals = np.r_[ranked[1:] != ranked[:-1], True]
    true_positives = np.cumsum(is_event[order])[is_last_of_equals]
    retrieved = np.arange(1, len(scores) + 1)[is_last_of_equals]
    gained = np.diff(true_positives, prepend=0)
    return float((gained * true_positives / retrieved).sum() / true_positives[-1])


def f1_score(is_found: NDArray[np.bool_], is_event: NDArray[np.bool_]) -> float:
    """Return the harmonic mean of precision and recall; 0 where nothing is found or there is nothing to find."""
    either = int(is_found.sum()) + int(is_event.sum())
    return 2.0 * int((is_found & is_event).sum()) / either if either else 0.0
