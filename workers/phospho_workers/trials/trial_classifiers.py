"""The classifier that a version of a definition will have once it is stored, trained by the labels that are there."""

from __future__ import annotations

from collections.abc import Sequence

from phospho_schemas.messages import EventDefinition
from phospho_workers.detection.learning.classifiers import Classifier
from phospho_workers.jobs.learning.examples import LabelledTasks
from phospho_workers.jobs.learning.training_job import Trainer
from phospho_workers.jobs.sessions.session_detection import group_by_reading
from phospho_workers.jobs.sessions.transcripts import as_task_definition


class TrialClassifiers:
    """Trains classifiers of versions that are not stored. Blocking; raises what the store raises."""

    def __init__(self, tasks: LabelledTasks, trainer: Trainer) -> None:
        self._tasks = tasks
        self._trainer = trainer

    def classifier(self, definition: EventDefinition, others: Sequence[EventDefinition]) -> Classifier | None:
        """
        Return the classifier of a version beside the project's other definitions, None without labels.

        Only people's labels count: a judgement is about the version that the judge was asked about.
        """
        if not self._trainer.can_train(definition):
            return None
        learning = [other for other in others if self._trainer.can_train(other)]
        group = next(group for group in group_by_reading([*learning, definition]).values() if definition in group)
        examples = self._tasks.examples(definition.project_id, group)
        examples[definition.name] = [example for example in examples[definition.name] if example.weight == 1.0]
        if not examples[definition.name]:
            return None
        trained = self._trainer.train([as_task_definition(member) for member in group], examples, [definition.name])
        classifier = trained[definition.name].classifier
        return Classifier.from_json(classifier) if classifier else None
