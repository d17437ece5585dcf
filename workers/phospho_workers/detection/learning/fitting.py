"""Fitting a classifier to the labelled tasks of one definition, and its confidence in other tasks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from phospho_workers.detection.learning.classifiers import PHRASE_UNIT, Classifier
from phospho_workers.detection.learning.clause_rows import (
    OTHER_SIDE_LENGTH,
    PHRASES_LENGTH,
    ClauseRows,
    best_row,
    centred,
    inputs_of,
    joined,
    phrase_columns,
)
from phospho_workers.detection.learning.description_trust import LabelledRows
from phospho_workers.detection.learning.regression import BIAS_PULL, PULL, logistic_regression
from phospho_workers.detection.semantic.confidence import EVEN_SCORE, STEEPNESS, confidence, logistic
from phospho_workers.detection.text.embedding import DIMENSIONS, directions, unit

# More examples than this would say little more of how far a description can be trusted.
_MAX_EXAMPLES = 400

Vector = NDArray[np.float64]


class Example(NamedTuple):
    """A labelled task: its clauses, whether it shows the event, and the weight of its label."""

    rows: ClauseRows
    is_event: bool
    weight: float = 1.0


def fit(examples: Sequence[Example], trust: float, labels: Sequence[bool]) -> Classifier:
    """
    Fit a classifier that starts from the description, whose scores it trusts by the factor `trust`.

    `labels` are those of people, which are counted, also where a task has no text to learn from.

    Of a confirmed task it learns from the clause that the description scores highest, of other tasks from every
    clause: a text that shows an event is not all about it, and a text that does not show it shows it nowhere.
    """
    columns = phrase_columns([example.rows for example in examples if example.is_event])
    prior = np.r_[np.zeros(2 * DIMENSIONS + len(columns)), -trust * STEEPNESS * EVEN_SCORE]
    is_event, weights = _labels_of(examples)
    kept = [best_row(example.rows) if example.is_event else example.rows for example in examples]
    counts = np.array([len(rows.phrases) for rows in kept])
    rows, mean_other_side = centred(joined(kept))
    learnt = logistic_regression(
        inputs_of(rows, columns),
        trust * STEEPNESS * rows.description_scores,
        np.repeat(is_event, counts),
        np.repeat(_balanced(weights, is_event) / counts, counts),
        prior,
    )
    return _classifier(learnt, columns, mean_other_side, trust, labels)


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
    rows, _ = centred(joined([best_row(example.rows) for example in sample]))
    inputs = inputs_of(rows, columns)
    inputs[:, -1] *= math.sqrt(PULL / BIAS_PULL)
    description_logits = STEEPNESS * (rows.description_scores - EVEN_SCORE)
    return LabelledRows(inputs, description_logits, is_event, _balanced(weights, is_event))


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
