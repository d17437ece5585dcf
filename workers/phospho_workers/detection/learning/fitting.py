"""Fitting a classifier to the labelled tasks of one definition, and its confidence in other tasks."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from phospho_workers.detection.learning.classifiers import PHRASE_UNIT, Classifier
from phospho_workers.detection.learning.description_trust import LabelledRows
from phospho_workers.detection.semantic.confidence import EVEN_SCORE, STEEPNESS, confidence, logistic
from phospho_workers.detection.text.embedding import DIMENSIONS, directions, unit

# More examples than this would say little more of how far a description can be trusted.
_MAX_EXAMPLES = 400

Vector = NDArray[np.float64]

# The length of the vector of a clause's phrases, and of the other side, where that of the clause's embedding is 1.
# Chosen like every constant here by the mean over three domains; see docs/detection.md.
PHRASES_LENGTH = 1.5
OTHER_SIDE_LENGTH = 1.5
_MAX_PHRASES = 300

# Of the weights and of the bias; chosen by the mean over three domains, see docs/detection.md.
PULL = 0.2
BIAS_PULL = 3.0
_MAX_STEPS = 20
_MAX_HALVINGS = 12
_SMALLEST_GAIN = 1e-5


class Example(NamedTuple):
    """A labelled task: its clauses, whether it shows the event, and the weight of its label."""

    rows: ClauseRows
    is_event: bool
    weight: float = 1.0


def fit(examples: Sequence[Example], trust: float, labels: Sequence[bool]) -> Classifier:
    """
    Fit a classifier that starts from the description, whose scores it trusts by the factor `trust`.

    `labels` are those of people, which are counted, also where a task has no text to learn from.

    Of a confirmed task it learns from the clause that the description scores highest of those that no other task has,
    of other tasks from every clause: a text that shows an event is not all about it, and a text that does not show it
    shows it nowhere.
    """
    columns = phrase_columns([example.rows for example in examples if example.is_event])
    prior = np.r_[np.zeros(2 * DIMENSIONS + len(columns)), -trust * STEEPNESS * EVEN_SCORE]
    is_event, weights = _labels_of(examples)
    rejected = _rejected_rows(examples)
    kept = [best_row(example.rows, rejected) if example.is_event else example.rows for example in examples]
    counts = np.array([len(rows.phrases) for rows in kept])
    rows, mean_other_side = centred(joined(kept))
    learnt = logistic_regression(
        inputs=inputs_of(rows, columns),
        offsets=trust * STEEPNESS * rows.description_scores,
        is_event=np.repeat(is_event, counts),
        weights=np.repeat(_balanced(weights, is_event) / counts, counts),
        prior=prior,
    )
    return _classifier(learnt=learnt, columns=columns, mean_other_side=mean_other_side, trust=trust, labels=labels)


def task_confidence(rows: ClauseRows, classifier: Classifier | None) -> float:
    """Return the confidence in a task, that of the description where there is no classifier."""
    if classifier is None:
        return float(confidence(rows.description_scores).max())
    along = rows.vectors @ unit(classifier.direction[None, :])[0]
    phrase_weights = [
        sum(classifier.phrases.get(phrase, 0) for phrase in phrases) / math.sqrt(len(phrases))
        for phrases in rows.phrases
    ]
    along_other_side = np.any(rows.other_sides != 0.0, axis=1) * (
        rows.other_sides @ unit(classifier.other_side[None, :])[0] - classifier.mean_other_side
    )
    logits = classifier.direction_weight * along + classifier.other_side_weight * along_other_side
    logits += classifier.description_weight * rows.description_scores + classifier.bias
    return float(logistic(logits + PHRASE_UNIT * np.array(phrase_weights)).max())


def labelled_rows(examples: Sequence[Example]) -> LabelledRows | None:
    """Return at most 400 examples as `description_trust` reads them; None unless there are some of either kind."""
    sample = examples[:: max(1, -(-len(examples) // _MAX_EXAMPLES))]
    is_event, weights = _labels_of(sample)
    if is_event.all() or not is_event.any():
        return None
    columns = phrase_columns([example.rows for example in sample if example.is_event])
    rejected = _rejected_rows(sample)
    best = [best_row(example.rows, rejected if example.is_event else frozenset()) for example in sample]
    rows, _ = centred(joined(best))
    inputs = inputs_of(rows, columns)
    inputs[:, -1] *= math.sqrt(PULL / BIAS_PULL)
    description_logits = STEEPNESS * (rows.description_scores - EVEN_SCORE)
    return LabelledRows(inputs, description_logits, is_event, _balanced(weights, is_event))


def _rejected_rows(examples: Sequence[Example]) -> frozenset[bytes]:
    """Return the vectors of all rows of tasks that do not show the event, which such a row can't show either."""
    return frozenset(row.tobytes() for example in examples if not example.is_event for row in example.rows.vectors)


def _labels_of(examples: Sequence[Example]) -> tuple[NDArray[np.bool_], Vector]:
    """Return is_event and weight of each example."""
    is_event = np.array([example.is_event for example in examples], dtype=bool)
    return is_event, np.array([example.weight for example in examples])


def _balanced(weights: Vector, is_event: NDArray[np.bool_]) -> Vector:
    """Return weights with those of confirmed tasks raised towards those of the others, by the square root."""
    of_confirmed = weights[is_event].sum()
    of_others = weights[~is_event].sum()
    factor = float(np.sqrt(of_others / of_confirmed)) if of_confirmed and of_others else 1.0
    return np.where(is_event, weights * factor, weights)


def _classifier(
    learnt: Vector, columns: Mapping[int, int], mean_other_side: Vector, trust: float, labels: Sequence[bool]
) -> Classifier:
    direction, other_side, phrases, bias = np.split(learnt, np.cumsum([DIMENSIONS, DIMENSIONS, len(columns)]))
    phrase_weights = np.rint(phrases * (PHRASES_LENGTH / PHRASE_UNIT)).astype(int).tolist()
    return Classifier(
        direction=directions(direction[None, :])[0],
        other_side=directions(other_side[None, :])[0],
        direction_weight=float(np.sqrt(direction @ direction)),
        other_side_weight=OTHER_SIDE_LENGTH * float(np.sqrt(other_side @ other_side)),
        mean_other_side=float(mean_other_side @ unit(other_side[None, :])[0]),
        description_weight=trust * STEEPNESS,
        bias=float(bias[0]),
        phrases={phrase: weight for phrase, weight in zip(columns, phrase_weights, strict=True) if weight},
        confirmed=sum(labels),
        rejected=len(labels) - sum(labels),
    )


class ClauseRows(NamedTuple):
    """
    The clauses of one or more tasks, and the whole of each task of several clauses.

    Unit vectors of the clauses and of the other side, shape (rows, 256); zeros where the other side says nothing.
    The scores of the description, shape (rows). The phrases of each row.
    """

    vectors: NDArray[np.float64]
    other_sides: NDArray[np.float64]
    description_scores: NDArray[np.float64]
    phrases: Sequence[set[int]]


def joined(parts: Sequence[ClauseRows]) -> ClauseRows:
    """Return the rows of all parts, in order."""
    return ClauseRows(
        np.vstack([part.vectors for part in parts]),
        np.vstack([part.other_sides for part in parts]),
        np.concatenate([part.description_scores for part in parts]),
        [phrases for part in parts for phrases in part.phrases],
    )


def best_row(rows: ClauseRows, rejected: frozenset[bytes]) -> ClauseRows:
    """Return the one row that the description scores highest, of those that are not `rejected` if there are any."""
    is_rejected = np.array([vector.tobytes() in rejected for vector in rows.vectors])
    best = int(np.argmax(np.where(is_rejected & ~is_rejected.all(), -np.inf, rows.description_scores)))
    return ClauseRows(
        rows.vectors[[best]], rows.other_sides[[best]], rows.description_scores[[best]], [rows.phrases[best]]
    )


def centred(rows: ClauseRows) -> tuple[ClauseRows, NDArray[np.float64]]:
    """Return the rows with the mean of their other sides subtracted, and that mean; empty other sides stay zero."""
    has_other_side = np.any(rows.other_sides != 0.0, axis=1, keepdims=True)
    mean: NDArray[np.float64] = rows.other_sides.sum(axis=0) / max(1, int(has_other_side.sum()))
    return rows._replace(other_sides=has_other_side * (rows.other_sides - mean)), mean


def phrase_columns(confirmed: Sequence[ClauseRows]) -> dict[int, int]:
    """Return the column of each phrase to learn: the most frequent ones of the confirmed tasks, 300 at most."""
    counts = Counter(phrase for rows in confirmed for phrase in set().union(*rows.phrases))
    most_frequent = sorted(counts, key=lambda phrase: (-counts[phrase], phrase))[:_MAX_PHRASES]
    return {phrase: column for column, phrase in enumerate(most_frequent)}


def inputs_of(rows: ClauseRows, columns: Mapping[int, int]) -> NDArray[np.float64]:
    """Return the inputs of a regression, shape (rows, 512 + phrases + 1): embeddings, phrases and a constant."""
    phrase_inputs = np.zeros((len(rows.phrases), len(columns)))
    for row, phrases in enumerate(rows.phrases):
        row_columns = [columns[phrase] for phrase in phrases if phrase in columns]
        phrase_inputs[row, row_columns] = PHRASES_LENGTH / math.sqrt(len(phrases))
    inputs: NDArray[np.float64] = np.c_[
        rows.vectors, OTHER_SIDE_LENGTH * rows.other_sides, phrase_inputs, np.ones(len(phrase_inputs))
    ]
    return inputs


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
