"""
Classifiers: the small model that labels train for one definition, its JSON form, and its confidence in texts.

A classifier is a logistic regression on the embedding of a clause, its word pieces and their pairs, the score of the
description, and the embedding of the task's other side: an answer tells what a question was about.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phospho_workers.detection.semantic.confidence import logistic
from phospho_workers.detection.text.embedding import DIMENSIONS, Vectors, cosines
from phospho_workers.detection.text.reading import Reading, whole

FORMAT = 5
PHRASE_UNIT = 2.0**-12
Scores = NDArray[np.float64]

# A piece is a number below 2**16; a pair is two of them, the first raised so that no pair is a piece.
_EDGE = 0xFFFF
_PAIR = 1 << 16


class BadClassifier(ValueError):
    """A serialised classifier can't be read; the message says why."""


@dataclass(frozen=True)
class Classifier:
    """
    The weights of a logistic regression. `direction` and `other_side` are directions (see `embedding.directions`).

    The logit of a clause or whole text is the sum of
    - `direction_weight` times the cosine with `direction`,
    - `description_weight` times the score of the description,
    - the weights of its known `phrases`, divided by the square root of the number of all its phrases,
    - where the task's other side says something, `other_side_weight` times the cosine of that side with `other_side`,
      less `mean_other_side`,
    - `bias`.

    The weights of phrases are integers, in units of PHRASE_UNIT, so that no order of additions matters. `confirmed` and
    `rejected` count the labels of people. `version` is that of the stored row; the JSON does not repeat it.
    """

    direction: Vectors
    other_side: Vectors
    direction_weight: float
    other_side_weight: float
    mean_other_side: float
    description_weight: float
    bias: float
    phrases: Mapping[int, int]
    confirmed: int
    rejected: int
    version: int = 0

    def to_json(self) -> str:
        """Return the classifier in some 5,000 characters; `from_json` gives an equal one."""
        return json.dumps(
            {
                "format": FORMAT,
                "direction": _packed(self.direction, "<i2"),
                "other_side": _packed(self.other_side, "<i2"),
                "phrases": _packed(list(self.phrases), "<i8"),
                "phrase_weights": _packed(list(self.phrases.values()), "<i4"),
                "direction_weight": self.direction_weight,
                "other_side_weight": self.other_side_weight,
                "mean_other_side": self.mean_other_side,
                "description_weight": self.description_weight,
                "bias": self.bias,
                "confirmed": self.confirmed,
                "rejected": self.rejected,
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Classifier:
        """Return the classifier that `to_json` wrote. Raises BadClassifier; an unknown format is one."""
        try:
            return cls._from(json.loads(text))
        except (ValueError, TypeError, KeyError) as error:
            raise BadClassifier(f"a classifier can't be read: {type(error).__name__}: {error}") from None

    @classmethod
    def _from(cls, value: Mapping[str, Any]) -> Classifier:
        if value["format"] != FORMAT:
            raise BadClassifier(f"format is {value['format']!r}; this reads {FORMAT}")
        phrases = _unpacked(value["phrases"], "<i8").tolist()
        classifier = cls(
            _direction(value["direction"]),
            _direction(value["other_side"]),
            direction_weight=float(value["direction_weight"]),
            other_side_weight=float(value["other_side_weight"]),
            mean_other_side=float(value["mean_other_side"]),
            description_weight=float(value["description_weight"]),
            bias=float(value["bias"]),
            phrases=dict(zip(phrases, _unpacked(value["phrase_weights"], "<i4").tolist(), strict=True)),
            confirmed=int(value["confirmed"]),
            rejected=int(value["rejected"]),
        )
        weights = (weight for weight in vars(classifier).values() if isinstance(weight, float))
        if not all(map(math.isfinite, weights)):
            raise BadClassifier("a weight is not a finite number")
        return classifier


NO_CLASSIFIERS: Mapping[str, Classifier] = MappingProxyType({})


def _direction(text: str) -> Vectors:
    direction = _unpacked(text, "<i2")
    if direction.shape != (DIMENSIONS,):
        raise BadClassifier(f"a direction has {direction.size} numbers, not {DIMENSIONS}")
    return direction.astype(np.float32)


def _packed(numbers: Sequence[int] | Vectors, kind: str) -> str:
    return base64.b64encode(np.asarray(numbers).astype(kind).tobytes()).decode()


def _unpacked(text: str, kind: str) -> NDArray[np.integer]:
    return np.frombuffer(base64.b64decode(text, validate=True), dtype=kind)


class ClassifierColumns:
    """The classifiers of a project's definitions as matrices, by the column that each definition has in the scores."""

    def __init__(self, by_column: Mapping[int, Classifier]) -> None:
        classifiers = list(by_column.values())
        self.columns = list(by_column)
        self._directions = _stacked([classifier.direction for classifier in classifiers])
        self._direction_weights = np.array([classifier.direction_weight for classifier in classifiers])
        self._other_sides = _stacked([classifier.other_side for classifier in classifiers])
        self._other_side_weights = np.array([classifier.other_side_weight for classifier in classifiers])
        self._mean_other_sides = np.array([classifier.mean_other_side for classifier in classifiers])
        self._description_weights = np.array([classifier.description_weight for classifier in classifiers])
        self._biases = np.array([classifier.bias for classifier in classifiers])
        phrases_in_order = sorted({phrase for classifier in classifiers for phrase in classifier.phrases})
        self._phrase_rows = {phrase: row for row, phrase in enumerate(phrases_in_order)}
        self._phrase_weights = np.array(
            [[classifier.phrases.get(phrase, 0) for classifier in classifiers] for phrase in phrases_in_order]
        )

    def overwrite(
        self, confidences: Scores, description_scores: Scores, batch: Reading, other_sides: Sequence[str] = ()
    ) -> None:
        """
        Write the classifiers' confidences into their columns of `confidences`.

        `other_sides` has the other side of each text's task, and is empty where that is unknown.
        """
        if not self.columns:
            return
        along = cosines(batch.directions, self._directions).astype(np.float64)
        described = description_scores[:, self.columns]
        logits = along * self._direction_weights + described * self._description_weights + self._biases
        if other_sides and self._other_side_weights.any():
            logits += self._other_side_logits(other_sides)[batch.texts()]
        confidences[:, self.columns] = logistic(logits + self._phrase_logits(batch))

    def _other_side_logits(self, other_sides: Sequence[str]) -> Scores:
        """Return the part of the other side in the logits, shape (texts, classifiers); 0 where it says nothing."""
        vectors = whole(other_sides)
        along = cosines(vectors, self._other_sides).astype(np.float64)
        has_words = np.any(vectors != 0.0, axis=1, keepdims=True)
        logits: Scores = has_words * (along - self._mean_other_sides) * self._other_side_weights
        return logits

    def _phrase_logits(self, batch: Reading) -> Scores:
        """Return the part of the phrases in the logits, shape (rows, classifiers)."""
        logits = np.zeros((len(batch.pieces), len(self.columns)))
        for row, pieces in enumerate(batch.pieces):
            features = phrases(pieces)
            if known_rows := [self._phrase_rows[feature] for feature in features if feature in self._phrase_rows]:
                logits[row] = self._phrase_weights[known_rows].sum(axis=0) * (PHRASE_UNIT / math.sqrt(len(features)))
        return logits


def _stacked(vectors: Sequence[Vectors]) -> Vectors:
    return np.array(vectors, dtype=np.float32).reshape(-1, DIMENSIONS)


def phrases(pieces: Sequence[int]) -> set[int]:
    """Return the features of a clause: its pieces and its pairs, including those with its two edges."""
    return {*pieces, *((first + 1) * _PAIR + second for first, second in pairwise((_EDGE, *pieces, _EDGE)))}
