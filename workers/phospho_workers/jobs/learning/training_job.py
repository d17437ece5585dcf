"""Training: whenever labels or definitions change, the classifiers that they teach are learnt anew and stored."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from phospho_schemas.ids import derived_id
from phospho_schemas.messages import ClassifierRow, EventDefinition
from phospho_store.registry.instructions import TABLES, InstructionBook
from phospho_workers.jobs.learning.examples import Example, LabelledTasks
from phospho_workers.jobs.loop.job import MAX_PAUSE_S
from phospho_workers.jobs.sessions.transcripts import groups_of, of_one
from phospho_workers.runtime import metrics

logger = logging.getLogger(__name__)

_Key = tuple[str, str]
# Revisions of the labels and judgements of a project and the versions of its definitions: its digests follow from them.
_State = tuple[tuple[int, int], Mapping[str, int]]


@dataclass(frozen=True)
class TrainedClassifier:
    """A classifier as JSON text, empty where labels are too few, and its quality as JSON text."""

    classifier: str
    quality: str


class Trainer(Protocol):
    """
    The mathematics of learning. Pure: the same examples in the same order give the same lesson.

    `name` says model and version: classifiers of another are learnt anew.
    """

    name: str

    def teaches(self, definition: EventDefinition) -> bool:
        """Tell whether a classifier would do anything for a definition's engine."""

    def learn(
        self, definitions: Sequence[EventDefinition], examples: Mapping[str, Sequence[Example]], names: Sequence[str]
    ) -> Mapping[str, TrainedClassifier]:
        """
        Return the lessons of `names`, one each.

        The definitions and the examples, by name and in the order of their tasks' ids, are those of a whole project:
        what is another event is no example of this one.
        """


class TrainingJob:
    """
    Makes the stored classifiers those that follow from the labels and definitions of now.

    What a classifier was learnt from stands in it, as a digest: so there is nothing to remember, and a classifier that
    another
    process has stored is not learnt again. The digest is that of the definition's own labels: those of others, which
    are its weak counterexamples, do not make it learn anew.
    """

    name = "learning"
    pause_s = 1.0
    tables = (*TABLES, "label_rows", "judgement_rows")
    max_pause_s = MAX_PAUSE_S

    def __init__(self, tasks: LabelledTasks, instructions: InstructionBook, teacher: Trainer) -> None:
        self._tasks = tasks
        self._instructions = instructions
        self._teacher = teacher
        self._seen: tuple[object, ...] = ()
        self._digests: dict[str, tuple[_State, Mapping[str, str]]] = {}

    def step(self) -> bool:
        """Learn what is due in one project, and tell whether there was one."""
        revisions = self._tasks.revisions()
        seen = (revisions, *self._instructions.revisions(with_labels=True))
        if seen == self._seen:
            return False
        told = self._instructions.read()
        classifiers = {(classifier.project_id, classifier.name): classifier for classifier in told.classifiers}
        taught = [one for one in told.definitions if self._teacher.teaches(one)]
        due = self._due(taught, classifiers, revisions)
        if not due:
            self._seen = seen
            return False
        project_id = next(iter(due))[0]
        of_project = {name: digest for (project, name), digest in due.items() if project == project_id}
        self._learn([one for one in taught if one.project_id == project_id], of_project, classifiers)
        return True

    def _due(
        self,
        definitions: Sequence[EventDefinition],
        classifiers: Mapping[_Key, ClassifierRow],
        revisions: Mapping[str, tuple[int, int]],
    ) -> dict[_Key, str]:
        """Return the definitions whose classifier is not the one of their labels, with the digest that says so."""
        self._read_digests(definitions, revisions)
        due = {}
        for one in definitions:
            key = (one.project_id, one.name)
            labelled = self._digests[one.project_id][1].get(one.name)
            digest = derived_id("labels", self._teacher.name, str(one.version), labelled or "")
            known = classifiers.get(key)
            if (known is not None or labelled is not None) and (known is None or known.labels_digest != digest):
                due[key] = digest
        return due

    def _read_digests(self, definitions: Sequence[EventDefinition], revisions: Mapping[str, tuple[int, int]]) -> None:
        """Have the digests of each project: they are read anew where its labels, judgements or versions are others."""
        known, self._digests = self._digests, {}
        versions: dict[str, dict[str, int]] = {}
        for one in definitions:
            versions.setdefault(one.project_id, {})[one.name] = one.version
        for project_id, of_project in versions.items():
            state = (revisions.get(project_id, (0, 0)), of_project)
            if project_id in known and known[project_id][0] == state:
                self._digests[project_id] = known[project_id]
            else:
                has_any = project_id in revisions
                self._digests[project_id] = (state, self._tasks.digests(project_id, of_project) if has_any else {})

    def _learn(
        self, definitions: Sequence[EventDefinition], due: Mapping[str, str], classifiers: Mapping[_Key, ClassifierRow]
    ) -> None:
        with metrics.CLASSIFIER_TRAINING_SECONDS.time():
            lessons = [self._lessons_of(group, due) for group in groups_of(definitions).values()]
        for one in definitions:
            if one.name in due:
                lesson = next(group[one.name] for group in lessons if one.name in group)
                self._save(one, due[one.name], lesson, classifiers.get((one.project_id, one.name)))

    def _lessons_of(
        self, definitions: Sequence[EventDefinition], due: Mapping[str, str]
    ) -> Mapping[str, TrainedClassifier]:
        """Return the lessons of those that are due, of definitions that read the same: no others are their rivals."""
        names = [one.name for one in definitions if one.name in due]
        if not names:
            return {}
        examples = self._tasks.examples(definitions[0].project_id, definitions)
        return self._lessons([of_one(one) for one in definitions], examples, names)

    def _lessons(
        self, definitions: Sequence[EventDefinition], examples: Mapping[str, Sequence[Example]], names: Sequence[str]
    ) -> Mapping[str, TrainedClassifier]:
        """Return the lessons; empty ones where the numbers of a project can't be learnt from, so that others are."""
        try:
            return self._teacher.learn(definitions, examples, names)
        except (ValueError, ArithmeticError) as error:
            logger.error("%s: nothing is learnt from its labels", definitions[0].project_id, exc_info=error)
            return dict.fromkeys(names, TrainedClassifier("", "{}"))

    def _save(
        self, definition: EventDefinition, digest: str, lesson: TrainedClassifier, known: ClassifierRow | None
    ) -> None:
        saved = self._instructions.save_classifier(
            ClassifierRow(
                project_id=definition.project_id,
                name=definition.name,
                version=known.version + 1 if known else 1,
                definition_version=definition.version,
                labels_digest=digest,
                classifier=lesson.classifier,
                quality=lesson.quality,
                created_at=datetime.now(UTC),
            )
        )
        metrics.CLASSIFIERS_TRAINED.inc()
        logger.info("%s: %s has classifier %d", saved.project_id, saved.name, saved.version)
