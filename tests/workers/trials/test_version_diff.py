"""A diff compares what two versions would find once they are taught, not one that is with one that is not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fixtures.labels import new_label
from phospho_schemas.messages import EventDefinition
from phospho_store.annotations.labels import LabelRepository
from phospho_store.registry.definition_sets import DefinitionRepository
from phospho_store.registry.registry import Registry
from phospho_store.store import Store
from phospho_workers.detection.loader import DefinitionCache
from phospho_workers.jobs.backfills.history import History
from phospho_workers.jobs.learning.examples import LabelledTasks
from phospho_workers.jobs.learning.trainer import ClassifierTrainer
from phospho_workers.jobs.learning.training_job import TrainingJob
from phospho_workers.jobs.sessions.session_facts import SessionFacts
from phospho_workers.trials.version_diff import TrialClassifiers, VersionDiff
from store.facts import insert, task
from workers.detection.tasks import semantic

TEXTS = [f"I want my money back for order {n}" for n in range(20)] + [
    f"my parcel number {n} is late" for n in range(20)
]


@pytest.fixture
def taught(store: Store, registry: Registry, project_id: str, until_done: Callable[[object], int]) -> EventDefinition:
    """A definition whose labels say the opposite of its description, and its classifier."""
    definition = registry.save_definition(
        semantic("refund", "The user wants money back", project_id=project_id, scope="input")
    )
    insert(store, "task_rows", *(task(project_id, f"t{n:02}", input=text) for n, text in enumerate(TEXTS)))
    labels = [new_label(project_id, "refund", f"t{n:02}", "rejected") for n in range(8)]
    labels += [new_label(project_id, "refund", f"t{n:02}", "confirmed") for n in range(20, 28)]
    LabelRepository(store).save_labels(labels)
    until_done(TrainingJob(LabelledTasks(store), DefinitionRepository(store), ClassifierTrainer()))
    return definition


def version_diff(store: Store) -> VersionDiff:
    cache = DefinitionCache(DefinitionRepository(store), 0.0)
    classifiers = TrialClassifiers(LabelledTasks(store), ClassifierTrainer())
    return VersionDiff(History(store), SessionFacts(store), cache.current, classifiers)


def test_diff_trains_the_new_version_by_the_same_labels(store: Store, taught: EventDefinition) -> None:
    new = taught.model_copy(update={"version": 2, "description": "The user wants money back."})
    told = version_diff(store).diff(taught, new, 100)
    counts = [told[name] for name in ("newly_found", "no_longer_found", "found_by_both")]
    assert counts == [0, 0, 20]


def test_diff_version_of_another_engine_has_no_classifier(store: Store, taught: EventDefinition) -> None:
    new = taught.model_copy(update={"version": 2, "engine": "keyword", "keywords": ["money"]})
    told = version_diff(store).diff(taught, new, 100)
    assert (told["newly_found"], told["no_longer_found"]) == (20, 20)
