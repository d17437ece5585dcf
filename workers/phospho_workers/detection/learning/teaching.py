"""
How a classifier is learnt from labels; see `classifiers` for what one is.

It starts from what the description says: with nothing learnt, its confidence is that of the description.
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from phospho_schemas.messages import EventDefinition
from phospho_workers.detection.engine import BESIDE, SIDES, Side, looks_at
from phospho_workers.detection.learning.classifiers import PHRASE_UNIT, Classifier, Scores
from phospho_workers.detection.learning.trust import LabelledScores, trust
from phospho_workers.detection.semantic.confidence import EVEN_SCORE, STEEPNESS, confidence, logistic
from phospho_workers.detection.semantic.rivalry import rivalry
from phospho_workers.detection.text.embedding import DIMENSIONS, directions, unit
from phospho_workers.detection.text.phrases import phrases
from phospho_workers.detection.text.reading import clauses_of, reading, whole

# Chosen by the mean over three domains, 5 or 10 labels of either kind; see docs/detection.md.
_PULL = 0.2
_BIAS_PULL = 3.0
_OTHERS_WEIGHT = 0.2
_MAX_OTHERS = 400
_ENGINE = "semantic"
# How long the vector of a clause's phrases is, beside that of its embedding, which is 1.
_PHRASES_LENGTH = 1.5
_MAX_PHRASES = 300
# So many definitions, those with the most labels, say how far the descriptions of a project are trusted.
_MAX_WEIGHED = 50
# The same of the other side of a task.
_BESIDE_LENGTH = 1.5
_NEWTON_STEPS = 20
_HALVINGS = 12
_SETTLED = 1e-5


class Labelled(NamedTuple):
    """
    A task that was judged: what it says on the sides that its definition reads, and whether it shows the event.

    `beside` is what it says on the side of BESIDE. A person's `weight` is 1.
    """

    texts: Mapping[Side, str]
    is_event: bool
    weight: float = 1.0
    beside: str = ""


class _Bag(NamedTuple):
    """
    The clauses and the whole of a task: unit vectors, shape (rows, 256), those of the other side, the description's
    scores, and the phrases.
    """

    vectors: NDArray[np.float64]
    beside: NDArray[np.float64]
    described: Scores
    said: Sequence[set[int]]


def texts_of(definition: EventDefinition, task: Mapping[str, Any]) -> dict[Side, str]:
    """Return the sides of a task that a definition reads; those that say nothing are left out."""
    return {side: task[side] for side in SIDES if looks_at(definition, side) and task.get(side)}


def labelled(definition: EventDefinition, task: Mapping[str, Any], is_event: bool, weight: float = 1.0) -> Labelled:
    """Return a task as a label of a definition."""
    other = BESIDE.get(definition.scope, "")
    return Labelled(texts_of(definition, task), is_event, weight, task.get(other) or "")


def train(
    definitions: Sequence[EventDefinition],
    labels: Mapping[str, Sequence[Labelled]],
    names: Iterable[str] | None = None,
) -> dict[str, Classifier]:
    """
    Return the classifiers of `names`, or of every definition that has a label, by name.

    `definitions` are all current ones of the project, for they are rivals; only those of the semantic engine learn.
    `labels` are all of the project, by the name of the definition. A definition none of whose labels has a text gets
    no classifier. Takes some 50 ms a classifier.
    """
    return School(definitions, labels).train(names)


def cross_validated(
    definitions: Sequence[EventDefinition], labels: Mapping[str, Sequence[Labelled]], name: str, folds: int = 5
) -> list[float]:
    """
    Return the confidence in each labelled task of a definition, by a classifier that was taught without that task.

    0 where a task says nothing. The arguments are those of `train`; the definition is one of the semantic engine.
    """
    return School(definitions, labels).cross_validated(name, folds)


# What a label says (None where that is nothing), whether it shows the event, and the label's weight.
_Judged = tuple[_Bag | None, bool, float]


class School:
    """All labelled texts of a project, read once. The arguments are those of `train`; nothing of it ever changes."""

    def __init__(self, definitions: Sequence[EventDefinition], labels: Mapping[str, Sequence[Labelled]]) -> None:
        self._definitions = {one.name: one for one in definitions}
        self._labels = {one.name: labels.get(one.name, ()) for one in definitions}
        everything = [one for of_one in self._labels.values() for one in of_one]
        self._sides = {side: _SideTexts(side, definitions, everything) for side in SIDES}
        beside = list(dict.fromkeys(text for one in everything for text in (one.beside, *one.texts.values())))
        self._beside = dict(zip(beside, unit(whole(beside)), strict=True))

    def train(self, names: Iterable[str] | None = None) -> dict[str, Classifier]:
        """See `train`."""
        asked = self._definitions.keys() if names is None else set(names)
        classifiers = {one.name: self._classifier(one) for one in self._labelled() if one.name in asked}
        return {name: classifier for name, classifier in classifiers.items() if classifier is not None}

    def cross_validated(self, name: str, folds: int = 5) -> list[float]:
        """See `cross_validated`."""
        return self._held_out(self._definitions[name], min(folds, max(1, len(self._labels[name]))))

    def _labelled(self) -> list[EventDefinition]:
        return [one for one in self._definitions.values() if one.engine == _ENGINE and self._labels[one.name]]

    @functools.cached_property
    def _trust(self) -> float:
        """How far all classifiers of the project trust their descriptions."""
        most_labels = sorted(self._labelled(), key=lambda one: (-len(self._labels[one.name]), one.name))
        known = (_labelled_scores(_examples(self._own(one), self._others(one))) for one in most_labels[:_MAX_WEIGHED])
        return trust([one for one in known if one is not None], _PULL)

    def _classifier(self, definition: EventDefinition) -> Classifier | None:
        """Return the classifier that all labels of a definition teach; None where none of them has a text."""
        return _taught(self._own(definition), self._others(definition), self._trust)

    def _held_out(self, definition: EventDefinition, folds: int) -> list[float]:
        """Return the confidence in each labelled task by a classifier that was taught by the other folds."""
        own = self._own(definition)
        others = self._others(definition)
        confidences = [0.0] * len(own)
        for fold in range(folds):
            classifier = _taught([one for place, one in enumerate(own) if place % folds != fold], others, self._trust)
            for place in range(fold, len(own), folds):
                bag = own[place][0]
                confidences[place] = 0.0 if bag is None else _confidence(bag, classifier)
        return confidences

    def _own(self, definition: EventDefinition) -> list[_Judged]:
        return [(self._bag(definition, one), one.is_event, one.weight) for one in self._labels[definition.name]]

    def _others(self, definition: EventDefinition) -> list[_Bag]:
        """Return what was confirmed for other definitions and not judged for this one, 400 tasks at most."""
        judged = [one.texts for one in self._labels[definition.name]]
        others = [
            one
            for name, of_name in self._labels.items()
            if name != definition.name
            for one in of_name
            if one.is_event and one.texts not in judged
        ]
        chosen = others[:: max(1, -(-len(others) // _MAX_OTHERS))]
        return [bag for one in chosen if (bag := self._bag(definition, one)) is not None]

    def _bag(self, definition: EventDefinition, one: Labelled) -> _Bag | None:
        beside = self._beside_of(definition, one)
        read = [(side, text) for side, text in one.texts.items() if looks_at(definition, side)]
        bags = [self._sides[side].bag(definition.name, text, beside) for side, text in read]
        said = [bag for bag in bags if bag is not None]
        return _joined(said) if said else None

    def _beside_of(self, definition: EventDefinition, one: Labelled) -> NDArray[np.float64]:
        """Return what is said on the other side, also where the label is that of a definition which reads both."""
        other = BESIDE.get(definition.scope)
        text = "" if other is None else one.texts.get(other, one.beside)
        said: NDArray[np.float64] = self._beside[text]
        return said


class _SideTexts:
    """The labelled texts of one side, embedded and scored by the descriptions that read that side."""

    def __init__(self, side: Side, definitions: Sequence[EventDefinition], labelled: Sequence[Labelled]) -> None:
        readers = [one for one in definitions if one.engine == _ENGINE and looks_at(one, side)]
        self._columns = {one.name: column for column, one in enumerate(readers)}
        texts = dict.fromkeys(one.texts[side] for one in labelled if side in one.texts)
        read = {text: clauses for text in texts if (clauses := clauses_of(text))}
        self._rows: dict[str, list[int]] = {}
        if not read or not readers:
            return
        what = reading(list(read.values()))
        self._vectors = unit(what.directions)
        self._said = [phrases(pieces) for pieces in what.pieces]
        self._scores = rivalry([one.description for one in readers]).scores(what.directions)
        self._rows = dict(zip(read, what.rows(), strict=True))

    def bag(self, name: str, text: str, beside: NDArray[np.float64]) -> _Bag | None:
        rows = self._rows.get(text)
        if rows is None:
            return None
        described = self._scores[rows, self._columns[name]]
        said = [self._said[row] for row in rows]
        return _Bag(self._vectors[rows], np.tile(beside, (len(rows), 1)), described, said)


def _examples(own: Sequence[_Judged], others: Sequence[_Bag]) -> list[tuple[_Bag, bool, float]]:
    """Return what a definition learns from: its labels that say something, and what was confirmed for others."""
    taught = [(bag, is_event, weight) for bag, is_event, weight in own if bag is not None]
    return taught + [(bag, False, _OTHERS_WEIGHT) for bag in others] if taught else []


def _taught(own: Sequence[_Judged], others: Sequence[_Bag], trusted: float) -> Classifier | None:
    """Return what labels teach, with others' confirmed tasks as weak counterexamples; None without a text."""
    examples = _examples(own, others)
    if not examples:
        return None
    bags, is_event, weights = zip(*examples, strict=True)
    of_people = [one for _, one, weight in own if weight == 1.0]
    return _fit(bags, np.array(is_event), np.array(weights), trusted, of_people)


def _labelled_scores(examples: Sequence[tuple[_Bag, bool, float]]) -> LabelledScores | None:
    """Return what examples say of how far their description can be trusted, 400 of them at most; None if nothing."""
    chosen = examples[:: max(1, -(-len(examples) // _MAX_OTHERS))]
    is_event = np.array([one for _, one, _ in chosen], dtype=bool)
    if is_event.all() or not is_event.any():
        return None
    weights = _balanced(np.array([weight for _, _, weight in chosen]), is_event)
    known = _known_phrases([bag for bag, shown, _ in chosen if shown])
    rows, _ = _centred(_joined([_instructive(bag) for bag, _, _ in chosen]))
    inputs = _inputs(rows, known)
    inputs[:, -1] *= math.sqrt(_PULL / _BIAS_PULL)
    return LabelledScores(inputs, STEEPNESS * (rows.described - EVEN_SCORE), is_event, weights)


def _joined(bags: Sequence[_Bag]) -> _Bag:
    return _Bag(
        np.vstack([bag.vectors for bag in bags]),
        np.vstack([bag.beside for bag in bags]),
        np.concatenate([bag.described for bag in bags]),
        [said for bag in bags for said in bag.said],
    )


def _confidence(bag: _Bag, classifier: Classifier | None) -> float:
    """Return the confidence in a task; without a classifier, that of the description."""
    if classifier is None:
        return float(confidence(bag.described).max())
    along = bag.vectors @ unit(classifier.direction[None, :])[0]
    weights = [sum(classifier.phrases.get(phrase, 0) for phrase in said) / math.sqrt(len(said)) for said in bag.said]
    answered = np.any(bag.beside != 0.0, axis=1) * (
        bag.beside @ unit(classifier.beside[None, :])[0] - classifier.beside_usual
    )
    logits = classifier.direction_weight * along + classifier.beside_weight * answered
    logits += classifier.description_weight * bag.described + classifier.bias
    return float(logistic(logits + PHRASE_UNIT * np.array(weights)).max())


def _fit(
    bags: Sequence[_Bag], is_event: NDArray[np.bool_], weights: Scores, trusted: float, of_people: Sequence[bool]
) -> Classifier:
    """
    Learn from that clause of each confirmed task which the description comes nearest to, and from every clause of the
    others: a turn that shows an event is not all about it, one that does not show it shows it nowhere.
    """
    known = _known_phrases([bag for bag, shown in zip(bags, is_event, strict=True) if shown])
    prior = np.r_[np.zeros(2 * DIMENSIONS + len(known)), -trusted * STEEPNESS * EVEN_SCORE]
    kept = [_instructive(bag) if shown else bag for bag, shown in zip(bags, is_event, strict=True)]
    counts = np.array([len(bag.said) for bag in kept])
    rows, usual = _centred(_joined(kept))
    learnt = _regression(
        _inputs(rows, known),
        trusted * STEEPNESS * rows.described,
        np.repeat(is_event, counts),
        np.repeat(_balanced(weights, is_event) / counts, counts),
        prior,
    )
    return _classifier(learnt, known, usual, trusted, of_people)


def _centred(rows: _Bag) -> tuple[_Bag, NDArray[np.float64]]:
    """Return the rows with their other sides counted from the mean of those that say something, and that mean."""
    is_answered = np.any(rows.beside != 0.0, axis=1, keepdims=True)
    usual: NDArray[np.float64] = rows.beside.sum(axis=0) / max(1, int(is_answered.sum()))
    return rows._replace(beside=is_answered * (rows.beside - usual)), usual


def _known_phrases(confirmed: Sequence[_Bag]) -> dict[int, int]:
    """Return the place of each phrase to learn: those of what was confirmed, the most frequent first, 300 at most."""
    counts = Counter(phrase for bag in confirmed for phrase in set().union(*bag.said))
    chosen = sorted(counts, key=lambda phrase: (-counts[phrase], phrase))[:_MAX_PHRASES]
    return {phrase: place for place, phrase in enumerate(chosen)}


def _inputs(rows: _Bag, known: Mapping[int, int]) -> NDArray[np.float64]:
    """Return what the regression reads: embeddings, phrases and a constant, shape (rows, 512 + phrases + 1)."""
    said = np.zeros((len(rows.said), len(known)))
    for row, of_row in enumerate(rows.said):
        said[row, [known[phrase] for phrase in of_row if phrase in known]] = _PHRASES_LENGTH / math.sqrt(len(of_row))
    inputs: NDArray[np.float64] = np.c_[rows.vectors, _BESIDE_LENGTH * rows.beside, said, np.ones(len(said))]
    return inputs


def _instructive(bag: _Bag) -> _Bag:
    best = int(np.argmax(bag.described))
    return _Bag(bag.vectors[[best]], bag.beside[[best]], bag.described[[best]], [bag.said[best]])


def _classifier(
    learnt: Scores, known: Mapping[int, int], usual: NDArray[np.float64], trusted: float, of_people: Sequence[bool]
) -> Classifier:
    direction, beside, of_phrases, bias = np.split(learnt, np.cumsum([DIMENSIONS, DIMENSIONS, len(known)]))
    weights = np.rint(of_phrases * (_PHRASES_LENGTH / PHRASE_UNIT)).astype(int).tolist()
    return Classifier(
        direction=directions(direction[None, :])[0],
        beside=directions(beside[None, :])[0],
        direction_weight=float(np.sqrt(direction @ direction)),
        beside_weight=_BESIDE_LENGTH * float(np.sqrt(beside @ beside)),
        beside_usual=float(usual @ unit(beside[None, :])[0]),
        description_weight=trusted * STEEPNESS,
        bias=float(bias[0]),
        phrases={phrase: weight for phrase, weight in zip(known, weights, strict=True) if weight},
        confirmed=sum(of_people),
        rejected=len(of_people) - sum(of_people),
    )


def _balanced(weights: Scores, is_event: NDArray[np.bool_]) -> Scores:
    """Return weights where those of the confirmed are raised towards those of the others, by the square root."""
    shown = weights[is_event].sum()
    others = weights[~is_event].sum()
    raised = float(np.sqrt(others / shown)) if shown and others else 1.0
    return np.where(is_event, weights * raised, weights)


def _regression(
    inputs: NDArray[np.float64], offsets: Scores, is_event: NDArray[np.bool_], weights: Scores, prior: Scores
) -> Scores:
    """
    Return the weights, the bias last, of a logistic regression pulled towards `prior`.

    By Newton's method, whose step is halved until the loss falls: far from its end a whole one may lead away.
    """
    pull = np.r_[np.full(len(prior) - 1, _PULL), _BIAS_PULL]

    def loss(learnt: Scores) -> float:
        logits = inputs @ learnt + offsets
        misfit = weights @ (np.logaddexp(0.0, logits) - is_event * logits)
        return float(misfit + pull @ (learnt - prior) ** 2 / 2)

    learnt, reached = prior, loss(prior)
    for _ in range(_NEWTON_STEPS):
        chance = logistic(inputs @ learnt + offsets)
        gradient = inputs.T @ (weights * (chance - is_event)) + pull * (learnt - prior)
        curvature = (inputs * (weights * chance * (1.0 - chance))[:, None]).T @ inputs + np.diag(pull)
        step = np.linalg.solve(curvature, gradient)
        size = next((2.0**-half for half in range(_HALVINGS) if loss(learnt - step * 2.0**-half) < reached), 0.0)
        learnt = learnt - size * step
        before, reached = reached, loss(learnt)
        if before - reached < _SETTLED:
            break
    return learnt
