"""
The trust of classifiers in descriptions: a factor on their scores that the labels of the whole project choose.

What helps in one project harms in another. Descriptions of short questions say more than five or ten labels;
descriptions of turns in the middle of a conversation say less. The labels of one definition are too few to tell, but
those of all definitions of a project are enough. So each label is predicted from the others with every factor, and the
project takes the factor that ranks them best. Leaving one out needs no new training: a ridge regression, which stands
in for the logistic one of the classifiers, has a closed form for it (Rasmussen and Williams 2006, section 5.4.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from phospho_workers.detection.learning.metrics import average_precision

FACTORS = (1.0, 0.75, 0.5)
# Fewer confirmed labels in a whole project say more about chance than about its descriptions.
MIN_CONFIRMED = 30
# The logit that stands for a label.
_LABEL_LOGIT = 2.0
# The steepest slope of the logistic function. A pull on its weights is divided by it to mean the same here.
_MAX_SLOPE = 0.25


class LabelledRows(NamedTuple):
    """
    The labelled tasks of one definition, a row each, at least one of either kind.

    The inputs of a classifier, shape (rows, inputs), the logit of the description, the label and its weight.
    """

    inputs: NDArray[np.float64]
    description_logits: NDArray[np.float64]
    is_event: NDArray[np.bool_]
    weights: NDArray[np.float64]


def description_trust(project: Sequence[LabelledRows], pull: float) -> float:
    """Return one of FACTORS: the greatest of equals, and where labels are few. `pull` is that of the weights."""
    if sum(int(rows.is_event.sum()) for rows in project) < MIN_CONFIRMED:
        return FACTORS[0]
    means = np.mean([_precisions(rows, pull) for rows in project], axis=0)
    return FACTORS[int(np.argmax(means))]


def _precisions(rows: LabelledRows, pull: float) -> list[float]:
    """Return the average precision with each factor, of every task as the others predict it."""
    spread = np.diag(pull / _MAX_SLOPE / rows.weights)
    inverse = np.linalg.inv(rows.inputs @ rows.inputs.T + spread)
    offsets = np.outer(FACTORS, rows.description_logits)
    misses = np.where(rows.is_event, _LABEL_LOGIT, -_LABEL_LOGIT) - offsets
    predicted = offsets + misses - misses @ inverse / np.diag(inverse)
    return [average_precision(of_factor, rows.is_event) for of_factor in predicted]
