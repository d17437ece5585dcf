"""
What labels teach: for one definition a direction of its own, beside what its description finds.

A classifier is a logistic regression on the embedding of a clause, on its word pieces and their pairs, on the score of
the
description, and on the embedding of the task's other side: an answer tells what a question was about. It starts from
what the description finds. It learns from the definition's labels, and from what was confirmed for the project's other
definitions as weak counterexamples. Pure: the same labels give the same classifier.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phospho_workers.detection.semantic.confidence import logistic
from phospho_workers.detection.text.embedding import DIMENSIONS, Vectors, cosines
from phospho_workers.detection.text.phrases import phrases
from phospho_workers.detection.text.reading import Reading, whole

FORMAT = 2
PHRASE_UNIT = 2.0**-12
Scores = NDArray[np.float64]


class BadClassifier(ValueError):
    """A serialised classifier can't be read; the text says why."""


@dataclass(frozen=True)
class Classifier:
    """
    `direction` and `beside` have 256 integers and are 4000 long, as `embedding.directions` makes them.

    The confidence in a clause or whole text is the logistic function of `direction_weight` times the cosine with
    `direction`, plus `description_weight` times the score of the description, plus the weights of those of its
    `phrases` that the classifier knows, divided by the square root of how many it has, plus `bias`; and, where the
    task's other side says something, plus `beside_weight` times how much more than `beside_usual` the cosine of that
    with `beside` is. The weights are integers, in units of PHRASE_UNIT, so that no order of additions matters.
    `version` is that of the row it is
    stored in, which the JSON does not repeat.
    """

    direction: Vectors
    beside: Vectors
    direction_weight: float
    beside_weight: float
    beside_usual: float
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
                "beside": _packed(self.beside, "<i2"),
                "phrases": _packed(list(self.phrases), "<i8"),
                "phrase_weights": _packed(list(self.phrases.values()), "<i4"),
                "direction_weight": self.direction_weight,
                "beside_weight": self.beside_weight,
                "beside_usual": self.beside_usual,
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
        known = _unpacked(value["phrases"], "<i8").tolist()
        classifier = cls(
            _direction(value["direction"]),
            _direction(value["beside"]),
            direction_weight=float(value["direction_weight"]),
            beside_weight=float(value["beside_weight"]),
            beside_usual=float(value["beside_usual"]),
            description_weight=float(value["description_weight"]),
            bias=float(value["bias"]),
            phrases=dict(zip(known, _unpacked(value["phrase_weights"], "<i4").tolist(), strict=True)),
            confirmed=int(value["confirmed"]),
            rejected=int(value["rejected"]),
        )
        numbers = (one for one in vars(classifier).values() if isinstance(one, float))
        if not all(map(math.isfinite, numbers)):
            raise BadClassifier("a weight is not a finite number")
        return classifier


def _direction(text: str) -> Vectors:
    direction = _unpacked(text, "<i2")
    if direction.shape != (DIMENSIONS,):
        raise BadClassifier(f"a direction has {direction.size} numbers, not {DIMENSIONS}")
    return direction.astype(np.float32)


def _packed(numbers: Sequence[int] | Vectors, kind: str) -> str:
    return base64.b64encode(np.asarray(numbers).astype(kind).tobytes()).decode()


def _unpacked(text: str, kind: str) -> NDArray[np.integer]:
    return np.frombuffer(base64.b64decode(text, validate=True), dtype=kind)


class Classifiers:
    """The classifiers of a project's definitions, by the column that each definition has in the scores."""

    def __init__(self, by_column: Mapping[int, Classifier]) -> None:
        classifiers = list(by_column.values())
        self._columns = list(by_column)
        self._directions = np.array([classifier.direction for classifier in classifiers], dtype=np.float32).reshape(
            -1, DIMENSIONS
        )
        self._direction_weights = np.array([classifier.direction_weight for classifier in classifiers])
        self._beside = np.array([classifier.beside for classifier in classifiers], dtype=np.float32).reshape(
            -1, DIMENSIONS
        )
        self._beside_weights = np.array([classifier.beside_weight for classifier in classifiers])
        self._beside_usual = np.array([classifier.beside_usual for classifier in classifiers])
        self._description_weights = np.array([classifier.description_weight for classifier in classifiers])
        self._biases = np.array([classifier.bias for classifier in classifiers])
        known = sorted({phrase for classifier in classifiers for phrase in classifier.phrases})
        self._places = {phrase: place for place, phrase in enumerate(known)}
        self._phrase_weights = np.array(
            [[classifier.phrases.get(phrase, 0) for classifier in classifiers] for phrase in known]
        )

    def overwrite(self, confidences: Scores, scores: Scores, what: Reading, beside: Sequence[str] = ()) -> None:
        """
        Put the classifiers' confidences into their columns; `scores` are those of the descriptions.

        `beside` has what is said on the other side of each text's task; it is empty where that is not known.
        """
        if not self._columns:
            return
        along = cosines(what.directions, self._directions).astype(np.float64)
        described = scores[:, self._columns]
        logits = along * self._direction_weights + described * self._description_weights + self._biases
        if beside and self._beside_weights.any():
            logits += self._answered(beside)[what.texts()]
        confidences[:, self._columns] = logistic(logits + self._said(what))

    def _answered(self, beside: Sequence[str]) -> Scores:
        """Return the weight of what is beside each text for each classifier; 0 where nothing is."""
        said = whole(beside)
        along = cosines(said, self._beside).astype(np.float64)
        is_said = np.any(said != 0.0, axis=1, keepdims=True)
        weights: Scores = is_said * (along - self._beside_usual) * self._beside_weights
        return weights

    def _said(self, what: Reading) -> Scores:
        """Return the weight of each row's phrases for each classifier."""
        said = np.zeros((len(what.pieces), len(self._columns)))
        for row, pieces in enumerate(what.pieces):
            features = phrases(pieces)
            if known := [self._places[feature] for feature in features if feature in self._places]:
                said[row] = self._phrase_weights[known].sum(axis=0) * (PHRASE_UNIT / math.sqrt(len(features)))
        return said
