"""The job that trains the classifiers anew whenever labels or definitions change."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from phospho_schemas.ids import derived_id
from phospho_schemas.messages import EventDefinition
from phospho_schemas.rows.jobs import ClassifierRow
from phospho_schemas.times import utc_now
from phospho_store.registry.definition_sets import TABLES, DefinitionRepository
from phospho_workers.detection.loader import read_student
from phospho_workers.detection.semantic.student import Student
from phospho_workers.jobs.learning.examples import LabelledTasks, LabelRevisions
from phospho_workers.jobs.learning.trainer import ClassifierTrainer, TrainedClassifier
from phospho_workers.jobs.loop.job import MAX_PAUSE_S
from phospho_workers.jobs.loop.leases import Holds, all_projects
from phospho_workers.jobs.sessions.session_detection import as_task_definition, group_by_reading
from phospho_workers.runtime import metrics

logger = logging.getLogger(__name__)

# Project and definition name.
_Key = tuple[str, str]


class _ProjectDigests(NamedTuple):
    """The digests of the labels of a project's definitions, and what they were read from."""

    revisions: LabelRevisions
    versions: Mapping[str, int]
    by_name: Mapping[str, str]


class TrainingJob:
    """
    Keeps the stored classifiers those that follow from the present labels and definitions.

    A classifier holds a digest of the labels that it was trained on: so the job remembers nothing, and doesn't repeat
    what another process has trained. The digest is of the definition's own labels: labels of others, its weak
    counterexamples, don't train it anew.
    """

    name = "learning"
    pause_s = 1.0
    tables = (*TABLES, "label_rows", "judgement_rows")
    max_pause_s = MAX_PAUSE_S

    def __init__(
        self,
        labels: LabelledTasks,
        definitions: DefinitionRepository,
        trainer: ClassifierTrainer,
        holds: Holds = all_projects,
    ) -> None:
        self._holds = holds
        self._labels = labels
        self._definitions = definitions
        self._trainer = trainer
        self._seen: tuple[object, ...] = ()
        self._digests: dict[str, _ProjectDigests] = {}
        self._students: dict[str, Student] = {}

    def step(self) -> bool:
        """Train what is due in one project, and return whether there was any."""
        revisions = self._labels.revisions()
        seen = (revisions, *self._definitions.revisions(with_labels=True))
        if seen == self._seen:
            return False
        definition_set = self._definitions.read()
        classifiers = {(row.project_id, row.name): row for row in definition_set.classifiers}
        definitions = [
            definition
            for definition in definition_set.definitions
            if self._holds(definition.project_id) and self._trainer.can_train(definition)
        ]
        self._students = {row.project_id: student for row in definition_set.students if (student := read_student(row))}
        due = self._due(definitions, classifiers, revisions)
        if not due:
            self._seen = seen
            return False
        due_project_id, _ = next(iter(due))
        of_project = [definition for definition in definitions if definition.project_id == due_project_id]
        due_names = {name: digest for (project_id, name), digest in due.items() if project_id == due_project_id}
        self._train(of_project, due_names, classifiers)
        return True

    def _due(
        self,
        definitions: Sequence[EventDefinition],
        classifiers: Mapping[_Key, ClassifierRow],
        revisions: Mapping[str, LabelRevisions],
    ) -> dict[_Key, str]:
        """Return the definitions whose classifier is outdated, each with the digest of its labels."""
        self._read_digests(definitions, revisions)
        due = {}
        for definition in definitions:
            labels_digest = self._digests[definition.project_id].by_name.get(definition.name)
            student = self._students.get(definition.project_id)
            taught_by = f"{self._trainer.name} {student.version if student else 0}"
            digest = derived_id("labels", taught_by, str(definition.version), labels_digest or "")
            classifier = classifiers.get((definition.project_id, definition.name))
            is_wanted = classifier is not None or labels_digest is not None
            if is_wanted and (classifier is None or classifier.labels_digest != digest):
                due[definition.project_id, definition.name] = digest
        return due

    def _read_digests(self, definitions: Sequence[EventDefinition], revisions: Mapping[str, LabelRevisions]) -> None:
        """Read the digests of the projects whose labels, judgements or definitions have changed."""
        earlier, self._digests = self._digests, {}
        versions: dict[str, dict[str, int]] = {}
        for definition in definitions:
            versions.setdefault(definition.project_id, {})[definition.name] = definition.version
        for project_id, of_project in versions.items():
            project_revisions = revisions.get(project_id, LabelRevisions())
            digests = earlier.get(project_id)
            if digests is None or (digests.revisions, digests.versions) != (project_revisions, of_project):
                by_name = self._labels.digests(project_id, of_project) if project_id in revisions else {}
                digests = _ProjectDigests(project_revisions, of_project, by_name)
            self._digests[project_id] = digests

    def _train(
        self, definitions: Sequence[EventDefinition], due: Mapping[str, str], classifiers: Mapping[_Key, ClassifierRow]
    ) -> None:
        """Train the classifiers that are due in one project, and store them."""
        trained: dict[str, TrainedClassifier] = {}
        with metrics.CLASSIFIER_TRAINING_SECONDS.time():
            # Only definitions that read the same are each other's rivals.
            for group in group_by_reading(definitions).values():
                trained |= self._train_group(group, [member.name for member in group if member.name in due])
        for definition in definitions:
            if definition.name in due:
                previous = classifiers.get((definition.project_id, definition.name))
                self._save(definition, due[definition.name], trained[definition.name], previous)

    def _train_group(
        self, definitions: Sequence[EventDefinition], names: Sequence[str]
    ) -> Mapping[str, TrainedClassifier]:
        """Return the classifiers of `names`; empty ones where the labels can't be trained on, so that others are."""
        if not names:
            return {}
        project_id = definitions[0].project_id
        examples = self._labels.examples(project_id, definitions)
        try:
            of_tasks = [as_task_definition(definition) for definition in definitions]
            return self._trainer.train(of_tasks, examples, names, self._students.get(project_id))
        except (ValueError, ArithmeticError) as error:
            logger.error("%s: its labels can't be trained on", project_id, exc_info=error)
            return dict.fromkeys(names, TrainedClassifier("", "{}"))

    def _save(
        self, definition: EventDefinition, digest: str, trained: TrainedClassifier, previous: ClassifierRow | None
    ) -> None:
        saved = self._definitions.save_classifier(
            ClassifierRow(
                project_id=definition.project_id,
                name=definition.name,
                version=previous.version + 1 if previous else 1,
                definition_version=definition.version,
                labels_digest=digest,
                classifier=trained.classifier,
                quality=trained.quality,
                created_at=utc_now(),
            )
        )
        metrics.CLASSIFIERS_TRAINED.inc()
        logger.info("%s: %s has classifier %d", saved.project_id, saved.name, saved.version)
