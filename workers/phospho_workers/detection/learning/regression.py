"""A logistic regression that is pulled towards prior weights, by Newton's method."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from phospho_workers.detection.semantic.confidence import logistic

# Of the weights and of the bias; chosen by the mean over three domains, see docs/detection.md.
PULL = 0.2
BIAS_PULL = 3.0
_MAX_STEPS = 20
_MAX_HALVINGS = 12
_SMALLEST_GAIN = 1e-5

Vector = NDArray[np.float64]


def logistic_regression(
    inputs: NDArray[np.float64], offsets: Vector, is_event: NDArray[np.bool_], weights: Vector, prior: Vector
) -> Vector:
    """
    Return the learnt weights, the bias last, pulled towards `prior`.

    Shapes: `inputs` (rows, weights), whose last column is constant; `offsets` (rows), added to the logits. Each Newton
    step is halved until the loss falls, because far from the optimum a whole step may lead away from it.
    """
    pull = np.r_[np.full(len(prior) - 1, PULL), BIAS_PULL]

    def loss(learnt: Vector) -> float:
        logits = inputs @ learnt + offsets
        misfit = weights @ (np.logaddexp(0.0, logits) - is_event * logits)
        return float(misfit + pull @ (learnt - prior) ** 2 / 2)

    learnt, current_loss = prior, loss(prior)
    for _ in range(_MAX_STEPS):
        chance = logistic(inputs @ learnt + offsets)
        gradient = inputs.T @ (weights * (chance - is_event)) + pull * (learnt - prior)
        curvature = (inputs * (weights * chance * (1.0 - chance))[:, None]).T @ inputs + np.diag(pull)
        step = np.linalg.solve(curvature, gradient)
        halvings = range(_MAX_HALVINGS)
        size = next((2.0**-half for half in halvings if loss(learnt - step * 2.0**-half) < current_loss), 0.0)
        learnt = learnt - size * step
        last_loss, current_loss = current_loss, loss(learnt)
        if last_loss - current_loss < _SMALLEST_GAIN:
            break
    return learnt
