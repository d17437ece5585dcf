"""The training set of one project: its labelled texts, embedded once, from which every classifier is trained."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from phospho_schemas.definitions.engines import engine_spec
from phospho_schemas.messages import EventDefinition
from phospho_workers.detection.learning.classifiers import Classifier, phrases
from phospho_workers.detection.learning.description_trust import description_trust
from phospho_workers.detection.learning.fitting import (
    PULL,
    ClauseRows,
    Example,
    fit,
    joined,
    labelled_rows,
    task_confidence,
)
from phospho_workers.detection.semantic.scoring import DescriptionScores
from phospho_workers.detection.semantic.student import Student
from phospho_workers.detection.text.embedding import unit
from phospho_workers.detection.text.reading import clauses_of, reading, whole
from phospho_workers.detection.text.sides import OTHER_SIDE, SIDES, Side, reads_side, texts_of

# Confirmed tasks of other definitions are weak counterexamples. The weight was chosen by the mean over three domains.
_COUNTEREXAMPLE_WEIGHT = 0.2
_MAX_COUNTEREXAMPLES = 400
# The definitions with the most labels say how far the descriptions of a project are trusted.
_MAX_DEFINITIONS_FOR_TRUST = 50


class LabelledText(NamedTuple):
    """
    A labelled task: its texts on the sides that the definition reads, and whether it shows the event.

    `other_side` is its text on the side of OTHER_SIDE. The `weight` of a person's label is 1.
    """

    texts: Mapping[Side, str]
    is_event: bool
    weight: float = 1.0
    other_side: str = ""


def labelled_text(
    definition: EventDefinition, task: Mapping[str, Any], is_event: bool, weight: float = 1.0
) -> LabelledText:
    """Return a task as a label of a definition."""
    other_side = OTHER_SIDE.get(definition.scope, "")
    return LabelledText(texts_of(task, definition.scope), is_event, weight, task.get(other_side) or "")


# A label with the rows of its task; None where the task says nothing.
_Labelled = tuple[ClauseRows | None, LabelledText]


class TrainingSet:
    """
    All labelled texts of a project, read once and never changed.

    `definitions` are all current ones of the project, because they are rivals; those whose engine learns get
    classifiers. `labels` are all of the project, by the name of the definition, and `student` is the project's. Pure:
    the same labels give the same classifiers.
    """

    def __init__(
        self,
        definitions: Sequence[EventDefinition],
        labels: Mapping[str, Sequence[LabelledText]],
        student: Student | None = None,
    ) -> None:
        self._definitions = {definition.name: definition for definition in definitions}
        self._labels = {definition.name: labels.get(definition.name, ()) for definition in definitions}
        texts = [label for definition_labels in self._labels.values() for label in definition_labels]
        self._sides = {side: _SideTexts(side, definitions, texts, student) for side in SIDES}
        other_sides = list(dict.fromkeys(text for label in texts for text in (label.other_side, *label.texts.values())))
        self._other_sides = dict(zip(other_sides, unit(whole(other_sides)), strict=True))

    def train(self, names: Iterable[str] | None = None) -> dict[str, Classifier]:
        """
        Return the classifiers of `names`, or of every definition that has a label, by name.

        A definition gets none where none of its labels has a text. Takes some 50 ms a classifier.
        """
        wanted = self._definitions.keys() if names is None else set(names)
        classifiers = {
            definition.name: self._fit(self._own(definition), self._counterexamples(definition))
            for definition in self._labelled_definitions()
            if definition.name in wanted
        }
        return {name: classifier for name, classifier in classifiers.items() if classifier is not None}

    def cross_validated(self, name: str, folds: int = 5) -> list[float]:
        """
        Return the confidence in each labelled task of a definition, by a classifier trained without that task.

        It is 0 where a task says nothing. The engine of the definition must be one that learns.
        """
        definition = self._definitions[name]
        own, counterexamples = self._own(definition), self._counterexamples(definition)
        folds = min(folds, max(1, len(own)))
        confidences = [0.0] * len(own)
        for fold in range(folds):
            others = [labelled for index, labelled in enumerate(own) if index % folds != fold]
            classifier = self._fit(others, counterexamples)
            for index in range(fold, len(own), folds):
                rows, _ = own[index]
                confidences[index] = 0.0 if rows is None else task_confidence(rows, classifier)
        return confidences

    def _labelled_definitions(self) -> list[EventDefinition]:
        return [
            definition
            for definition in self._definitions.values()
            if engine_spec(definition.engine).learns and self._labels[definition.name]
        ]

    @functools.cached_property
    def _trust(self) -> float:
        """The factor by which all classifiers of the project trust their descriptions."""
        most_labels_first = sorted(
            self._labelled_definitions(), key=lambda definition: (-len(self._labels[definition.name]), definition.name)
        )
        labelled = [
            labelled_rows(_examples(self._own(definition), self._counterexamples(definition)))
            for definition in most_labels_first[:_MAX_DEFINITIONS_FOR_TRUST]
        ]
        return description_trust([rows for rows in labelled if rows is not None], PULL)

    def _fit(self, own: Sequence[_Labelled], counterexamples: Sequence[ClauseRows]) -> Classifier | None:
        """Return the classifier of these labels, None where none of them has a text."""
        examples = _examples(own, counterexamples)
        if not examples:
            return None
        return fit(examples, self._trust, [label.is_event for _, label in own if label.weight == 1.0])

    def _own(self, definition: EventDefinition) -> list[_Labelled]:
        return [(self._rows(definition, label), label) for label in self._labels[definition.name]]

    def _counterexamples(self, definition: EventDefinition) -> list[ClauseRows]:
        """Return at most 400 tasks that were confirmed for other definitions and have no label for this one."""
        own_texts = [label.texts for label in self._labels[definition.name]]
        confirmed = [
            label
            for name, labels in self._labels.items()
            if name != definition.name
            for label in labels
            if label.is_event and label.texts not in own_texts
        ]
        sample = confirmed[:: max(1, -(-len(confirmed) // _MAX_COUNTEREXAMPLES))]
        return [rows for label in sample if (rows := self._rows(definition, label)) is not None]

    def _rows(self, definition: EventDefinition, label: LabelledText) -> ClauseRows | None:
        other_side = self._other_sides[_other_side_text(definition, label)]
        of_sides = [
            self._sides[side].rows(definition.name, text, other_side)
            for side, text in label.texts.items()
            if reads_side(definition, side)
        ]
        rows = [side_rows for side_rows in of_sides if side_rows is not None]
        return joined(rows) if rows else None


class _SideTexts:
    """The labelled texts of one side, embedded and scored by the descriptions that read that side."""

    def __init__(
        self,
        side: Side,
        definitions: Sequence[EventDefinition],
        labels: Sequence[LabelledText],
        student: Student | None,
    ) -> None:
        learning = [definition for definition in definitions if engine_spec(definition.engine).learns]
        readers = [definition for definition in learning if reads_side(definition, side)]
        self._columns = {definition.name: column for column, definition in enumerate(readers)}
        texts = dict.fromkeys(label.texts[side] for label in labels if side in label.texts)
        clauses = {text: text_clauses for text in texts if (text_clauses := clauses_of(text))}
        self._rows: dict[str, list[int]] = {}
        if not clauses or not readers:
            return
        batch = reading(list(clauses.values()))
        self._vectors = unit(batch.directions)
        self._phrases = [phrases(pieces) for pieces in batch.pieces]
        descriptions = [definition.description for definition in readers]
        self._scores = DescriptionScores(descriptions, side, student).scores(batch)
        self._rows = dict(zip(clauses, batch.rows(), strict=True))

    def rows(self, name: str, text: str, other_side: NDArray[np.float64]) -> ClauseRows | None:
        """Return the rows of a text as the definition `name` reads it, None where it says nothing."""
        rows = self._rows.get(text)
        if rows is None:
            return None
        scores = self._scores[rows, self._columns[name]]
        other_sides = np.tile(other_side, (len(rows), 1))
        return ClauseRows(self._vectors[rows], other_sides, scores, [self._phrases[row] for row in rows])


def _other_side_text(definition: EventDefinition, label: LabelledText) -> str:
    """Return the text of the other side, also where the label is of a definition that reads both sides."""
    other_side = OTHER_SIDE.get(definition.scope)
    return "" if other_side is None else label.texts.get(other_side, label.other_side)


def _examples(own: Sequence[_Labelled], counterexamples: Sequence[ClauseRows]) -> list[Example]:
    """Return the labels that have a text, and with them the counterexamples; none without any such label."""
    labelled = [Example(rows, label.is_event, label.weight) for rows, label in own if rows is not None]
    weak = [Example(rows, is_event=False, weight=_COUNTEREXAMPLE_WEIGHT) for rows in counterexamples]
    return [*labelled, *weak] if labelled else []
