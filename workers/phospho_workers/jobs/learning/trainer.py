"""The mathematics of classifiers, for the training job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from threadpoolctl import threadpool_limits

from phospho_schemas.definitions.engines import engine_spec
from phospho_schemas.messages import EventDefinition
from phospho_workers.detection.learning.classifiers import FORMAT
from phospho_workers.detection.learning.quality import quality
from phospho_workers.detection.learning.training_set import LabelledText, TrainingSet, labelled_text
from phospho_workers.detection.semantic.student import Student
from phospho_workers.jobs.learning.examples import Example

# Fewer judgements are by chance all of one kind, and of few texts.
MIN_JUDGEMENTS = 8


def is_enough(labels: Sequence[LabelledText]) -> bool:
    """Tell whether labels suffice to train: one by a person, or eight judgements."""
    return len(labels) >= MIN_JUDGEMENTS or any(label.weight == 1.0 for label in labels)


@dataclass(frozen=True)
class TrainedClassifier:
    """A classifier as JSON text, empty where labels are too few, and its quality as JSON text."""

    classifier: str
    quality: str


class ClassifierTrainer:
    """
    Trains classifiers. Pure: the same examples in the same order give the same classifier.

    `name` holds model and version: a classifier of another trainer is trained anew.
    """

    name = f"classifier-{FORMAT}"

    def can_train(self, definition: EventDefinition) -> bool:
        """Tell whether the engine of a definition uses a classifier."""
        return engine_spec(definition.engine).learns

    def train(
        self,
        definitions: Sequence[EventDefinition],
        examples: Mapping[str, Sequence[Example]],
        names: Sequence[str],
        student: Student | None = None,
    ) -> Mapping[str, TrainedClassifier]:
        """
        Return a classifier for each of `names`.

        `student` is the project's. The definitions, and the examples by name in the order of their tasks' ids, are
        those of a whole project: an example of another event is a counterexample of this one.
        """
        labels = {
            definition.name: [
                labelled_text(definition, example.task, example.is_there, example.weight)
                for example in examples[definition.name]
            ]
            for definition in definitions
        }
        # The matrices are small: on a busy machine the threads of BLAS wait for each other, and a classifier that takes
        # 0.2 s with one of them took 4 s with two.
        with threadpool_limits(1, "blas"):
            training_set = TrainingSet(definitions, labels, student)
            classifiers = training_set.train([name for name in names if is_enough(labels[name])])
            return {
                definition.name: TrainedClassifier(
                    classifiers[definition.name].to_json() if definition.name in classifiers else "",
                    _quality(definition, training_set, labels[definition.name]),
                )
                for definition in definitions
                if definition.name in names
            }


def _quality(definition: EventDefinition, training_set: TrainingSet, labels: Sequence[LabelledText]) -> str:
    """
    Return as JSON text how good a definition is in tasks that it was not trained on, by the labels of people alone.

    Without such labels nothing is cross-validated: an LLM gives each definition hundreds of judgements.
    """
    if not any(label.weight == 1.0 for label in labels):
        return quality([], [], definition.threshold).to_json()
    confidences = training_set.cross_validated(definition.name)
    by_people = [
        (confidence, label.is_event)
        for confidence, label in zip(confidences, labels, strict=True)
        if label.weight == 1.0
    ]
    return quality(
        [confidence for confidence, _ in by_people], [is_event for _, is_event in by_people], definition.threshold
    ).to_json()
