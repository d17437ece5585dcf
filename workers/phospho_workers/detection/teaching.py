"""How a head is learnt from labels; see `heads` for what one is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from phospho_schemas.messages import EventDefinition
from phospho_workers.detection.confidence import confidence, logistic
from phospho_workers.detection.descriptions import expected
from phospho_workers.detection.embedding import directions, unit
from phospho_workers.detection.engine import SIDES, Side, looks_at
from phospho_workers.detection.heads import Head, Scores
from phospho_workers.detection.reading import clauses_of, reading
from phospho_workers.detection.rivalry import rivalry

# Chosen by the mean over three domains, 5 or 10 labels of either kind; see docs/detection.md.
_DIRECTION_PRIOR = 5.0
_DESCRIPTION_WEIGHT = 5.0
_BIAS_PRIOR = -2.0
_PULL = 0.1
_BIAS_PULL = 0.01
_OTHERS_WEIGHT = 0.3
_MAX_OTHERS = 400
_ROUNDS = 2
_NEWTON_STEPS = 12


class Labelled(NamedTuple):
    """A task that a person has judged: what each side said, and whether it shows the event."""

    texts: Mapping[Side, str]
    is_event: bool


class _Bag(NamedTuple):
    """The clauses and the whole of a task: unit vectors, shape (rows, 256), and the description's scores."""

    vectors: NDArray[np.float64]
    described: Scores


def texts_of(definition: EventDefinition, task: Mapping[str, Any]) -> dict[Side, str]:
    """Return the sides of a task that a definition reads; those that say nothing are left out."""
    return {side: task[side] for side in SIDES if looks_at(definition, side) and task.get(side)}


def train(
    definitions: Sequence[EventDefinition],
    labels: Mapping[str, Sequence[Labelled]],
    names: Iterable[str] | None = None,
) -> dict[str, Head]:
    """
    Return the heads of `names`, or of every definition that has a label, by name.

    `definitions` are all of the project that the semantic engine reads, each once: they are rivals. `labels` are all
    of the project, by the name of the definition. A definition none of whose labels has a text gets no head. Takes
    some 50 ms a head.
    """
    school = _School(definitions, labels)
    wanted = [one for one in definitions if labels.get(one.name) and (names is None or one.name in set(names))]
    heads = {one.name: school.head(one) for one in wanted}
    return {name: head for name, head in heads.items() if head is not None}


def cross_validated(
    definitions: Sequence[EventDefinition], labels: Mapping[str, Sequence[Labelled]], name: str, folds: int = 5
) -> list[float]:
    """
    Return the confidence in each labelled task of a definition, by a head that was taught without that task.

    0 where a task says nothing. The arguments are those of `train`.
    """
    school = _School(definitions, labels)
    definition = next(one for one in definitions if one.name == name)
    return school.held_out(definition, min(folds, max(1, len(labels[name]))))


class _School:
    """All labelled texts of a project, read once."""

    def __init__(self, definitions: Sequence[EventDefinition], labels: Mapping[str, Sequence[Labelled]]) -> None:
        self._labels = {one.name: labels.get(one.name, ()) for one in definitions}
        everything = [labelled for of_one in self._labels.values() for labelled in of_one]
        self._sides = {side: _SideTexts(side, definitions, everything) for side in SIDES}

    def head(self, definition: EventDefinition) -> Head | None:
        """Return the head that all labels of a definition teach; None where none of them has a text."""
        return self._taught(definition, self._own(definition), self._others(definition))

    def held_out(self, definition: EventDefinition, folds: int) -> list[float]:
        """Return the confidence in each labelled task by a head that was taught by the other folds."""
        own = self._own(definition)
        others = self._others(definition)
        confidences = [0.0] * len(own)
        for fold in range(folds):
            head = self._taught(definition, [one for place, one in enumerate(own) if place % folds != fold], others)
            for place in range(fold, len(own), folds):
                bag, _ = own[place]
                confidences[place] = 0.0 if bag is None else _confidence(bag, head)
        return confidences

    def _own(self, definition: EventDefinition) -> list[tuple[_Bag | None, bool]]:
        return [(self._bag(definition, one), one.is_event) for one in self._labels[definition.name]]

    def _taught(
        self, definition: EventDefinition, own: Sequence[tuple[_Bag | None, bool]], others: Sequence[_Bag]
    ) -> Head | None:
        taught = [(bag, is_event, 1.0) for bag, is_event in own if bag is not None]
        if not taught:
            return None
        taught += [(bag, False, _OTHERS_WEIGHT) for bag in others]
        bags, is_event, weights = zip(*taught, strict=True)
        return _fit(definition, bags, np.array(is_event), np.array(weights), [one for _, one in own])

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

    def _bag(self, definition: EventDefinition, labelled: Labelled) -> _Bag | None:
        read = [(side, text) for side, text in labelled.texts.items() if looks_at(definition, side)]
        bags = [bag for side, text in read if (bag := self._sides[side].bag(definition.name, text)) is not None]
        if not bags:
            return None
        return _Bag(np.vstack([bag.vectors for bag in bags]), np.concatenate([bag.described for bag in bags]))


class _SideTexts:
    """The labelled texts of one side, embedded and scored by the descriptions that read that side."""

    def __init__(self, side: Side, definitions: Sequence[EventDefinition], labelled: Sequence[Labelled]) -> None:
        readers = [one for one in definitions if looks_at(one, side)]
        self._columns = {one.name: column for column, one in enumerate(readers)}
        texts = dict.fromkeys(one.texts[side] for one in labelled if side in one.texts)
        read = {text: clauses for text in texts if (clauses := clauses_of(text))}
        self._rows: dict[str, list[int]] = {}
        if not read or not readers:
            return
        what = reading(list(read.values()))
        self._vectors = unit(what.directions)
        self._scores = rivalry([one.description for one in readers]).scores(what.directions)
        self._rows = dict(zip(read, what.rows(), strict=True))

    def bag(self, name: str, text: str) -> _Bag | None:
        rows = self._rows.get(text)
        return None if rows is None else _Bag(self._vectors[rows], self._scores[rows, self._columns[name]])


def _confidence(bag: _Bag, head: Head | None) -> float:
    """Return the confidence in a task; without a head, that of the description."""
    if head is None:
        return float(confidence(bag.described).max())
    along = bag.vectors @ unit(head.direction[None, :])[0]
    logits = head.direction_weight * along + head.description_weight * bag.described + head.bias
    return float(logistic(logits).max())


def _fit(
    definition: EventDefinition, bags: Sequence[_Bag], is_event: NDArray[np.bool_], weights: Scores, own: list[bool]
) -> Head:
    """
    Learn from the clause of each confirmed task that shows the event best, and from every clause of the others.

    Which clause that is follows from what was learnt the round before, at first from the description.
    """
    towards = expected(definition.description)
    prior = np.r_[_DIRECTION_PRIOR * towards, _BIAS_PRIOR]
    learnt = prior
    for _ in range(_ROUNDS):
        kept = [_instructive(bag, shown, learnt) for bag, shown in zip(bags, is_event, strict=True)]
        counts = np.array([len(bag.described) for bag in kept])
        learnt = _regression(
            np.vstack([bag.vectors for bag in kept]),
            _DESCRIPTION_WEIGHT * np.concatenate([bag.described for bag in kept]),
            np.repeat(is_event, counts),
            np.repeat(_balanced(weights, is_event) / counts, counts),
            prior,
        )
    direction, bias = learnt[:-1], float(learnt[-1])
    length = float(np.sqrt(direction @ direction))
    return Head(directions(direction[None, :])[0], length, _DESCRIPTION_WEIGHT, bias, sum(own), len(own) - sum(own))


def _instructive(bag: _Bag, is_event: bool, learnt: Scores) -> _Bag:
    if not is_event:
        return bag
    logits = bag.vectors @ learnt[:-1] + _DESCRIPTION_WEIGHT * bag.described
    best = [int(np.argmax(logits))]
    return _Bag(bag.vectors[best], bag.described[best])


def _balanced(weights: Scores, is_event: NDArray[np.bool_]) -> Scores:
    """Return weights where those of the confirmed are raised towards those of the others, by the square root."""
    shown = weights[is_event].sum()
    others = weights[~is_event].sum()
    raised = float(np.sqrt(others / shown)) if shown and others else 1.0
    return np.where(is_event, weights * raised, weights)


def _regression(
    vectors: NDArray[np.float64], offsets: Scores, is_event: NDArray[np.bool_], weights: Scores, prior: Scores
) -> Scores:
    """Return the weights and the bias of a logistic regression pulled towards `prior`, by Newton's method."""
    inputs = np.c_[vectors, np.ones(len(vectors))]
    pull = np.r_[np.full(len(prior) - 1, _PULL), _BIAS_PULL]
    learnt = prior
    for _ in range(_NEWTON_STEPS):
        chance = logistic(inputs @ learnt + offsets)
        gradient = inputs.T @ (weights * (chance - is_event)) + pull * (learnt - prior)
        curvature = (inputs * (weights * chance * (1.0 - chance))[:, None]).T @ inputs + np.diag(pull)
        learnt = learnt - np.linalg.solve(curvature, gradient)
    return learnt
