"""Labels of whole sessions, last tasks and turns teach their definitions, each by what it reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pytest

from fixtures.labels import new_label
from phospho_schemas.messages import EventDefinition, ProjectSettings
from phospho_store.annotations.labels import LabelRepository
from phospho_store.registry.definition_sets import DefinitionRepository
from phospho_store.registry.registry import Registry
from phospho_store.store import Store
from phospho_workers.detection.loader import DefinitionCache
from phospho_workers.detection.text.sides import MESSAGE_BREAK
from phospho_workers.jobs.learning.examples import Example, LabelledTasks
from phospho_workers.jobs.learning.trainer import ClassifierTrainer, TrainedClassifier
from phospho_workers.jobs.learning.training_job import TrainingJob
from phospho_workers.jobs.sessions.ended_sessions_job import EndedSessionsJob
from phospho_workers.jobs.sessions.session_facts import SessionFacts
from store.facts import view
from workers.detection.tasks import semantic
from workers.jobs.logged_sessions import say


class Listening:
    """A trainer who keeps what it is shown: by event, what each example says and whether the event is there."""

    name = "listening-1"

    def __init__(self) -> None:
        self.shown: dict[str, list[tuple[str, bool]]] = {}
        self.rivals: list[set[str]] = []

    def can_train(self, definition: EventDefinition) -> bool:
        return definition.engine == "semantic"

    def train(
        self,
        definitions: Sequence[EventDefinition],
        examples: Mapping[str, Sequence[Example]],
        names: Sequence[str],
        student: object = None,
    ) -> Mapping[str, TrainedClassifier]:
        self.rivals.append({definition.name for definition in definitions})
        for name in names:
            self.shown[name] = [(example.task["input"], example.is_there) for example in examples[name]]
        return dict.fromkeys(names, TrainedClassifier("", "{}"))


@pytest.fixture
def define(registry: Registry, project_id: str) -> Callable[..., EventDefinition]:
    registry.save_project(project_id, settings=ProjectSettings(session_idle_minutes=10))
    return lambda name, text, **fields: registry.save_definition(semantic(name, text, project_id=project_id, **fields))


def test_session_definitions_train_on_what_they_read(
    store: Store, project_id: str, define: Callable[..., EventDefinition], until_done: Callable[..., int]
) -> None:
    define("plain", "The user wants a refund", scope="input")
    define("whole", "The user leaves angry", scope="session")
    define("last", "The user says goodbye", scope="input", is_last_task=True)
    define("near", "The user asks again", scope="input", context_turns=1)
    for text, minutes in (("one", 9), ("two", 8), ("three", 7)):
        say(store, project_id, "a", text, minutes_ago=minutes, output="yes")
    names = ("plain", "whole", "last", "near")
    LabelRepository(store).save_labels([new_label(project_id, name, "a-8", "confirmed") for name in names])
    trainer = Listening()

    until_done(TrainingJob(LabelledTasks(store), DefinitionRepository(store), trainer))

    assert trainer.shown == {
        "plain": [("two", True)],
        # As the session was when it ended there.
        "whole": [(MESSAGE_BREAK.join(("one", "yes", "two", "yes")), True)],
        "last": [("two", True)],
        "near": [(f"one{MESSAGE_BREAK}two", True)],
    }
    assert sorted(map(sorted, trainer.rivals)) == [["last"], ["near"], ["plain"], ["whole"]]


def test_session_classifier_finds_what_its_description_does_not(
    store: Store, project_id: str, define: Callable[..., EventDefinition], until_done: Callable[..., int]
) -> None:
    define("umbrella", "The user wants a zorb", scope="session")
    for number in range(20):
        text = "please bring the blue umbrella" if number % 2 else "what will the weather be"
        say(store, project_id, f"s{number}", f"{text} number {number}", minutes_ago=60 + number, output="Certainly.")
    labels = [("confirmed" if number % 2 else "rejected", f"s{number}-{60 + number}") for number in range(20)]
    LabelRepository(store).save_labels([new_label(project_id, "umbrella", task, label) for label, task in labels])
    until_done(TrainingJob(LabelledTasks(store), DefinitionRepository(store), ClassifierTrainer()))

    say(store, project_id, "new", "is my blue umbrella here, please", minutes_ago=30, output="Certainly.")
    say(store, project_id, "other", "and the weather on day seven", minutes_ago=30, output="Certainly.")
    say(store, project_id, "later", "hello", minutes_ago=5)
    until_done(EndedSessionsJob(SessionFacts(store), DefinitionCache(DefinitionRepository(store), 0.0).current))

    found = [row for row in view(store, "events", project_id) if row["task_id"] in ("new-30", "other-30")]
    assert [(row["task_id"], row["scope"], row["classifier_version"]) for row in found] == [("new-30", "session", 1)]
