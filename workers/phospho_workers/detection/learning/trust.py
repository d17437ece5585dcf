"""
How far classifiers trust descriptions: as far as the labels of their project say.

What helps in one project harms in another. Descriptions of short questions say more than five or ten labels, those of
what is said in the middle of a conversation say less. The labels of one definition are too few to tell; those of all
definitions of a project do. So each label is predicted from the others with every degree of trust, and the degree
that ranks them best is that of the project. Leaving one out needs no training anew: a ridge regression, which stands
in for the logistic one of the classifiers, has a closed form for it (Rasmussen and Williams 2006, section 5.4.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from phospho_workers.detection.evaluation.metrics import average_precision

# What the descriptions' scores are multiplied by.
TRUSTS = (1.0, 0.75, 0.5)
# Fewer in a whole project say more about chance than about its descriptions.
MIN_CONFIRMED = 30
# The logit that a label is taken for.
_CERTAIN = 2.0
# The most that the logistic function rises by: what a pull on its weights has to be divided by to mean the same here.
_RISE = 0.25


class LabelledScores(NamedTuple):
    """
    What is known of one definition, a row a task: what a classifier reads, shape (rows, inputs), the logit of the
    description, the label, and its weight. There is a row of either kind.
    """

    inputs: NDArray[np.float64]
    described: NDArray[np.float64]
    is_event: NDArray[np.bool_]
    weights: NDArray[np.float64]


def trust(project: Sequence[LabelledScores], pull: float) -> float:
    """Return one of TRUSTS: of equals the greatest, which is also that of few labels. `pull` is that of the weights."""
    if sum(int(one.is_event.sum()) for one in project) < MIN_CONFIRMED:
        return TRUSTS[0]
    means = np.mean([_precisions(one, pull) for one in project], axis=0)
    return TRUSTS[int(np.argmax(means))]


def _precisions(known: LabelledScores, pull: float) -> list[float]:
    """Return the average precision with each trust, of every task as predicted by the others."""
    spread = np.diag(pull / _RISE / known.weights)
    inverse = np.linalg.inv(known.inputs @ known.inputs.T + spread)
    offsets = np.outer(TRUSTS, known.described)
    misses = np.where(known.is_event, _CERTAIN, -_CERTAIN) - offsets
    predicted = offsets + misses - misses @ inverse / np.diag(inverse)
    return [average_precision(of_trust, known.is_event) for of_trust in predicted]
