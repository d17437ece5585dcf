"""Labels become classifiers: once, again when they change, and the same after a restart."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest

from fixtures.labels import new_label
from fixtures.matches import found_matches
from phospho_schemas.messages import EventDefinition
from phospho_store.annotations.labels import LabelRepository
from phospho_store.registry.definition_sets import DefinitionRepository
from phospho_store.registry.registry import Registry
from phospho_store.store import Store
from phospho_workers.detection.learning.classifiers import Classifier
from phospho_workers.detection.loader import DefinitionCache
from phospho_workers.detection.text.embedding import DIMENSIONS
from phospho_workers.jobs.backfills.history import History
from phospho_workers.jobs.learning.examples import Example, LabelledTasks
from phospho_workers.jobs.learning.trainer import ClassifierTrainer, TrainedClassifier
from phospho_workers.jobs.learning.training_job import TrainingJob
from phospho_workers.trials.definition_run import LabelQueue
from store.facts import insert, task
from workers.detection.tasks import keywords, semantic


class CountingTrainer:
    """Learns how many labels there are of each kind, and remembers what it was shown."""

    name = "counting-1"

    def __init__(self) -> None:
        self.shown: list[tuple[str, list[tuple[str, bool]]]] = []

    def can_train(self, definition: EventDefinition) -> bool:
        return definition.engine == "semantic"

    def train(
        self,
        definitions: Sequence[EventDefinition],
        examples: Mapping[str, Sequence[Example]],
        names: Sequence[str],
        student: object = None,
    ) -> dict[str, TrainedClassifier]:
        return {name: self.trained(name, examples[name]) for name in names}

    def trained(self, name: str, examples: Sequence[Example]) -> TrainedClassifier:
        self.shown.append((name, [(example.task["input"], example.is_there) for example in examples]))
        there = sum(example.is_there for example in examples)
        ones, zeros = np.ones(DIMENSIONS, np.float32), np.zeros(DIMENSIONS, np.float32)
        classifier = Classifier(ones, zeros, 1.0, 0.0, 0.0, 1.0, 0.0, {}, there, len(examples) - there)
        return TrainedClassifier(classifier=classifier.to_json(), quality="{}")


@pytest.fixture
def trainer() -> CountingTrainer:
    return CountingTrainer()


@pytest.fixture
def label_repository(store: Store, registry: Registry, project_id: str) -> LabelRepository:
    registry.save_definition(semantic("refund", "The user wants money back", project_id=project_id))
    insert(store, "task_rows", *(task(project_id, f"t{n}", input=f"text {n}") for n in range(4)))
    return LabelRepository(store)


def learning(store: Store, trainer: CountingTrainer) -> TrainingJob:
    return TrainingJob(LabelledTasks(store), DefinitionRepository(store), trainer)


def say(label_repository: LabelRepository, project_id: str, **labels: str) -> None:
    label_repository.save_labels([new_label(project_id, "refund", task_id, label) for task_id, label in labels.items()])


def classifier_of(store: Store, project_id: str) -> tuple[int, int, int]:
    """Return the version of the project's classifier, and the confirmed and rejected labels that trained it."""
    [row] = [row for row in DefinitionRepository(store).classifiers() if row.project_id == project_id]
    classifier = Classifier.from_json(row.classifier)
    return row.version, classifier.confirmed, classifier.rejected


def test_training_job_gives_detection_a_classifier(
    store: Store,
    label_repository: LabelRepository,
    project_id: str,
    trainer: CountingTrainer,
    until_done: Callable[..., int],
) -> None:
    cache = DefinitionCache(DefinitionRepository(store), refresh_interval_s=0.0)
    before = cache.current()
    say(label_repository, project_id, t1="confirmed", t2="rejected")

    until_done(learning(store, trainer))

    after = cache.current()
    assert trainer.shown == [("refund", [("text 1", True), ("text 2", False)])]
    assert after.by_project[project_id].classifiers["refund"].version == 1
    # So that what the classifier finds holds against what was found without it.
    assert after.revision > before.revision


def test_training_job_trains_nothing_twice(
    store: Store,
    label_repository: LabelRepository,
    project_id: str,
    trainer: CountingTrainer,
    until_done: Callable[..., int],
) -> None:
    say(label_repository, project_id, t1="confirmed")
    job = learning(store, trainer)
    until_done(job)

    assert until_done(job) == 0
    assert until_done(learning(store, trainer)) == 0

    assert [name for name, _ in trainer.shown] == ["refund"]
    assert classifier_of(store, project_id) == (1, 1, 0)


def test_training_job_follows_changed_and_removed_labels(
    store: Store,
    label_repository: LabelRepository,
    project_id: str,
    trainer: CountingTrainer,
    until_done: Callable[..., int],
) -> None:
    job = learning(store, trainer)
    for labels, classifier in (
        ({"t1": "confirmed"}, (1, 1, 0)),
        ({"t1": "rejected"}, (2, 0, 1)),
        ({"t1": ""}, (3, 0, 0)),
    ):
        say(label_repository, project_id, **labels)
        until_done(job)
        assert classifier_of(store, project_id) == classifier


def test_training_job_trains_a_new_definition_version(
    store: Store,
    registry: Registry,
    label_repository: LabelRepository,
    project_id: str,
    trainer: CountingTrainer,
    until_done: Callable[..., int],
) -> None:
    say(label_repository, project_id, t1="confirmed")
    job = learning(store, trainer)
    until_done(job)

    registry.save_definition(semantic("refund", "The user asks for a refund", project_id=project_id))
    until_done(job)

    [classifier] = [row for row in DefinitionRepository(store).classifiers() if row.project_id == project_id]
    assert (classifier.version, classifier.definition_version) == (2, 2)


def test_training_job_skips_engines_without_classifiers(
    store: Store,
    registry: Registry,
    project_id: str,
    trainer: CountingTrainer,
    until_done: Callable[..., int],
) -> None:
    registry.save_definition(keywords("word", "well", project_id=project_id))
    LabelRepository(store).save_labels([new_label(project_id, "word", "t1", "confirmed")])

    until_done(learning(store, trainer))

    assert trainer.shown == []


def test_training_job_reads_the_newest_labels_of_either_kind(
    store: Store,
    label_repository: LabelRepository,
    project_id: str,
    trainer: CountingTrainer,
    until_done: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Later rejections, however many, do not displace the confirmed tasks."""
    monkeypatch.setattr("phospho_workers.jobs.learning.examples.MAX_LABELS", 1)
    for task_id, label in {"t0": "confirmed", "t1": "confirmed", "t2": "rejected", "t3": "rejected"}.items():
        say(label_repository, project_id, **{task_id: label})

    until_done(learning(store, trainer))

    assert trainer.shown == [("refund", [("text 1", True), ("text 3", False)])]


def test_training_job_reads_both_ends_of_a_long_text(
    store: Store,
    label_repository: LabelRepository,
    project_id: str,
    trainer: CountingTrainer,
    until_done: Callable[..., int],
) -> None:
    insert(store, "task_rows", task(project_id, "long", input="b" * 50_000 + "m" + "e" * 50_000))
    say(label_repository, project_id, long="confirmed")

    until_done(learning(store, trainer))

    [[text, _]] = trainer.shown[0][1]
    assert (text[0], text[-1], "m" in text, len(text)) == ("b", "e", False, 8_001)


def test_classifier_finds_what_its_description_does_not(
    store: Store, registry: Registry, project_id: str, until_done: Callable[..., int]
) -> None:
    """With the mathematics that is used, and from the labels to what detection finds."""
    registry.save_definition(semantic("zorb", "The user wants a zorb", project_id=project_id, scope="input"))
    shown = ["I would like the blue umbrella", "an umbrella please", "the umbrella is gone", "my umbrella, where is it"]
    hidden = "is the umbrella there"
    other = ["what is the weather", "good morning to you", "is it time"]
    insert(store, "task_rows", *(task(project_id, f"u{n}", input=text) for n, text in enumerate(shown + other)))
    values = ["confirmed"] * len(shown) + ["rejected"] * len(other)
    labels = [new_label(project_id, "zorb", f"u{n}", label) for n, label in enumerate(values)]
    cache = DefinitionCache(DefinitionRepository(store), refresh_interval_s=0.0)
    before = found_matches(cache.current().by_project[project_id], [hidden], "input")[0]

    LabelRepository(store).save_labels(labels)
    until_done(TrainingJob(LabelledTasks(store), DefinitionRepository(store), ClassifierTrainer()))

    after = found_matches(cache.current().by_project[project_id], [hidden], "input")[0]
    assert ([hit.definition.name for hit in before], [hit.definition.name for hit in after]) == ([], ["zorb"])
    classifier = DefinitionRepository(store).classifier(project_id, "zorb")
    assert classifier is not None
    quality = json.loads(classifier.quality)
    assert (quality["confirmed"], quality["rejected"], set(quality["recall"])) == (4, 3, {"value", "low", "high"})


def test_label_queue_returns_uncertain_tasks_without_a_label(store: Store, registry: Registry, project_id: str) -> None:
    registry.save_definition(semantic("rain", "The user asks about the rain", project_id=project_id, scope="input"))
    texts = ["will it rain", "is it wet today", "a pizza with cheese please", "rain again", ""]
    insert(store, "task_rows", *(task(project_id, f"q{n}", input=text) for n, text in enumerate(texts)))
    LabelRepository(store).save_labels([new_label(project_id, "rain", "q3", "confirmed")])
    queue = LabelQueue(History(store), DefinitionCache(DefinitionRepository(store)).current)
    assert sorted(queue.tasks(project_id, "rain")) == ["q0", "q1", "q2"]
    assert len(queue.tasks(project_id, "rain", 1)) == 1
    assert queue.tasks(project_id, "unknown") == []


def test_training_job_stores_an_empty_classifier_after_an_error(
    store: Store,
    label_repository: LabelRepository,
    project_id: str,
    trainer: CountingTrainer,
    until_done: Callable[..., int],
) -> None:
    say(label_repository, project_id, t1="confirmed")
    job = learning(store, trainer)
    trainer.trained = _singular  # type: ignore[method-assign]
    until_done(job)
    classifier = DefinitionRepository(store).classifier(project_id, "refund")
    assert classifier is not None
    assert (classifier.classifier, until_done(job)) == ("", 0)


def _singular(name: str, examples: Sequence[Example]) -> TrainedClassifier:
    raise np.linalg.LinAlgError("singular matrix")
