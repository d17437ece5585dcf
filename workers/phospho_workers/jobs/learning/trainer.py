"""The mathematics of classifiers, as the job that learns uses them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from threadpoolctl import threadpool_limits

from phospho_schemas.engines import engine_spec
from phospho_schemas.messages import EventDefinition
from phospho_workers.detection.learning.classifiers import FORMAT
from phospho_workers.detection.learning.labelled_texts import LabelledText, labelled_text
from phospho_workers.detection.learning.quality import quality
from phospho_workers.detection.learning.training_set import TrainingSet
from phospho_workers.jobs.learning.examples import Example
from phospho_workers.jobs.learning.training_job import TrainedClassifier

# Fewer judgements than this are by chance all of one kind, and of few texts.
MIN_JUDGEMENTS = 8


def is_enough(labels: Sequence[LabelledText]) -> bool:
    """Tell whether labels suffice to train: one by a person, or eight by an LLM."""
    return len(labels) >= MIN_JUDGEMENTS or any(one.weight == 1.0 for one in labels)


class ClassifierTrainer:
    """Teaches the definitions that the semantic engine reads."""

    name = f"classifier-{FORMAT}"

    def teaches(self, definition: EventDefinition) -> bool:
        return engine_spec(definition.engine).learns

    def learn(
        self, definitions: Sequence[EventDefinition], examples: Mapping[str, Sequence[Example]], names: Sequence[str]
    ) -> Mapping[str, TrainedClassifier]:
        labels = {
            one.name: [
                labelled_text(one, example.task, example.is_there, example.weight) for example in examples[one.name]
            ]
            for one in definitions
        }
        # The matrices are small: on a busy machine the threads of BLAS wait for each other, and a classifier that takes
        # 0.2 s with one of them took 4 s with two.
        with threadpool_limits(1, "blas"):
            training_set = TrainingSet(definitions, labels)
            classifiers = training_set.train([name for name in names if is_enough(labels[name])])
            return {
                one.name: TrainedClassifier(
                    classifiers[one.name].to_json() if one.name in classifiers else "",
                    _quality(one, training_set, labels[one.name]),
                )
                for one in definitions
                if one.name in names
            }


def _quality(definition: EventDefinition, training_set: TrainingSet, labels: Sequence[LabelledText]) -> str:
    """
    Return as JSON text how good a definition is in tasks that it was not taught by; people alone are believed.

    Where nobody has labelled anything, no classifier is taught for it: an LLM gives each definition hundreds of
    judgements.
    """
    if not any(one.weight == 1.0 for one in labels):
        return quality([], [], definition.threshold).to_json()
    confidences = training_set.cross_validated(definition.name)
    of_people = [
        (confidence, one.is_event) for confidence, one in zip(confidences, labels, strict=True) if one.weight == 1.0
    ]
    return quality(
        [confidence for confidence, _ in of_people], [is_event for _, is_event in of_people], definition.threshold
    ).to_json()
