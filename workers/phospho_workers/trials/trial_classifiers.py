"""The classifier that a version of a definition will have once it is stored, learnt from the labels that are there."""

from __future__ import annotations

from collections.abc import Sequence

from phospho_schemas.messages import EventDefinition
from phospho_workers.detection.learning.classifiers import Classifier
from phospho_workers.jobs.learning.examples import LabelledTasks
from phospho_workers.jobs.learning.training_job import Trainer
from phospho_workers.jobs.sessions.session_detection import group_by_reading
from phospho_workers.jobs.sessions.transcripts import as_task_definition


class TrialClassifiers:
    """Teaches versions that are not stored, and stores nothing. Blocking; raises what the store raises."""

    def __init__(self, tasks: LabelledTasks, trainer: Trainer) -> None:
        self._tasks = tasks
        self._trainer = trainer

    def classifier(self, definition: EventDefinition, others: Sequence[EventDefinition]) -> Classifier | None:
        """
        Return what the labels of people teach a version beside the project's other definitions; None where nothing.

        What judges said is of the version that they were asked about, and teaches no other.
        """
        if not self._trainer.can_train(definition):
            return None
        taught = [one for one in others if self._trainer.can_train(one)]
        group = next(one for one in group_by_reading([*taught, definition]).values() if definition in one)
        examples = self._tasks.examples(definition.project_id, group)
        examples[definition.name] = [one for one in examples[definition.name] if one.weight == 1.0]
        if not examples[definition.name]:
            return None
        task_definitions = [as_task_definition(member) for member in group]
        trained = self._trainer.train(task_definitions, examples, [definition.name])[definition.name]
        return Classifier.from_json(trained.classifier) if trained.classifier else None
