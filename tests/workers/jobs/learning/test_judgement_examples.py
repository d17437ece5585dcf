"""Judgements of an LLM train classifiers, with less weight than labels and not one at a time."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from fixtures.labels import new_label
from phospho_schemas.rows.jobs import JudgementRow
from phospho_store.annotations.judgements import JudgementRepository
from phospho_store.annotations.labels import LabelRepository
from phospho_store.registry.definition_sets import DefinitionRepository
from phospho_store.registry.registry import Registry
from phospho_store.store import Store
from phospho_workers.detection.candidates import content_of
from phospho_workers.detection.learning.training_set import LabelledText
from phospho_workers.jobs.learning import trainer as trainer_module
from phospho_workers.jobs.learning.examples import Example, LabelledTasks
from phospho_workers.jobs.learning.trainer import ClassifierTrainer, is_enough
from phospho_workers.jobs.learning.training_job import TrainingJob
from store.facts import insert, task
from workers.detection.tasks import semantic

REFUND = "The user wants money back"


@pytest.fixture
def tasks(store: Store, registry: Registry, project_id: str) -> LabelledTasks:
    registry.save_definition(semantic("refund", REFUND, scope="input", project_id=project_id))
    insert(store, "task_rows", *(task(project_id, f"t{n}", input=f"text {n}") for n in range(40)))
    return LabelledTasks(store)


def judgement(project_id: str, task_id: str, answer: str = "yes", **fields: object) -> JudgementRow:
    content = content_of({"input": f"text {task_id[1:]}"}, "input")
    defaults = {"project_id": project_id, "name": "refund", "definition_version": 1, "content": content, "judge": "llm"}
    defaults |= {"answer": answer, "task_id": task_id, "created_at": datetime.now(UTC), "model": "m"}
    return JudgementRow.model_validate(defaults | fields)


def say(store: Store, project_id: str, yes: range, no: range, **fields: object) -> None:
    answers = [("yes", number) for number in yes] + [("no", number) for number in no]
    JudgementRepository(store).save_judgements(
        [judgement(project_id, f"t{n}", answer, **fields) for answer, n in answers]
    )


def shown(tasks: LabelledTasks, project_id: str, version: int = 1) -> dict[str, tuple[bool, float]]:
    refund = semantic("refund", REFUND, scope="input", project_id=project_id, version=version)
    examples = tasks.examples(project_id, [refund])["refund"]
    return {example.task["task_id"]: (example.is_there, example.weight) for example in examples}


def test_judgement_is_an_example_of_less_weight_than_a_label(
    store: Store, project_id: str, tasks: LabelledTasks
) -> None:
    JudgementRepository(store).save_judgements([judgement(project_id, "t1"), judgement(project_id, "t2", "no")])
    assert shown(tasks, project_id) == {"t1": (True, 0.5), "t2": (False, 0.5)}

    LabelRepository(store).save_labels([new_label(project_id, "refund", "t1", "rejected")])

    assert shown(tasks, project_id) == {"t1": (False, 1.0), "t2": (False, 0.5)}


@pytest.mark.parametrize("other", [{"answer": ""}, {"judge": "encoder"}, {"definition_version": 7}])
def test_examples_leave_out_answers_that_are_no_judgements(
    store: Store, project_id: str, tasks: LabelledTasks, other: dict[str, object]
) -> None:
    say(store, project_id, range(2), range(2, 4))
    before = shown(tasks, project_id)
    JudgementRepository(store).save_judgements([judgement(project_id, "t9", **other)])
    assert shown(tasks, project_id) == before
    assert len(before) == 4


def test_examples_leave_out_judgements_on_an_earlier_version(
    store: Store, registry: Registry, project_id: str, tasks: LabelledTasks
) -> None:
    say(store, project_id, range(2), range(2, 4))
    registry.save_definition(semantic("refund", "The user asks for a refund", scope="input", project_id=project_id))
    assert (len(shown(tasks, project_id)), shown(tasks, project_id, version=2)) == (4, {})


def test_examples_leave_out_judgements_on_an_earlier_text(store: Store, project_id: str, tasks: LabelledTasks) -> None:
    long = {"input": "give me my money back " * 1_000}
    insert(store, "task_rows", task(project_id, "t3", 2, **long))
    say(store, project_id, range(2), range(2, 3))
    JudgementRepository(store).save_judgements([judgement(project_id, "t3", content=content_of(long, "input"))])
    insert(store, "task_rows", task(project_id, "t1", 2, input="what a lovely day"))
    insert(store, "task_rows", task(project_id, "t2", 2, input="text 2", output="You are welcome"))
    assert set(shown(tasks, project_id)) == {"t0", "t2", "t3"}

    insert(store, "task_rows", task(project_id, "t3", 3, input=long["input"].replace("my", "no", 1)))
    assert set(shown(tasks, project_id)) == {"t0", "t2"}


def test_examples_leave_out_a_model_that_always_says_yes(store: Store, project_id: str, tasks: LabelledTasks) -> None:
    say(store, project_id, range(39), range(39, 40))
    assert shown(tasks, project_id) == {}
    without = tasks.digests(project_id, {"refund": 1})

    say(store, project_id, range(0), range(2))

    assert len(shown(tasks, project_id)) == 40
    assert tasks.digests(project_id, {"refund": 1}) != without, "what begins to be worth learning is learnt"


def test_examples_leave_out_a_model_that_always_says_no(store: Store, project_id: str, tasks: LabelledTasks) -> None:
    say(store, project_id, range(0), range(40))
    assert shown(tasks, project_id) == {}


def test_examples_leave_out_a_model_that_contradicts_people(
    store: Store, project_id: str, tasks: LabelledTasks
) -> None:
    say(store, project_id, range(20), range(20, 30))
    say(store, project_id, range(30, 35), range(35, 40), model="other")
    assert len(shown(tasks, project_id)) == 40
    labels = [new_label(project_id, "refund", f"t{n}", "confirmed" if n % 2 else "rejected") for n in range(10)]
    LabelRepository(store).save_labels(labels)
    assert set(shown(tasks, project_id)) == {f"t{n}" for n in range(10)} | {f"t{n}" for n in range(30, 40)}


def test_training_job_reads_only_the_projects_that_changed(
    store: Store, registry: Registry, project_id: str, tasks: LabelledTasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(store, project_id, range(4), range(4, 8))
    learning = TrainingJob(tasks, DefinitionRepository(store), ClassifierTrainer())
    read: list[str] = []
    digests = tasks.digests
    monkeypatch.setattr(tasks, "digests", lambda project, versions: read.append(project) or digests(project, versions))
    other = registry.save_project(f"{project_id}-other").project_id
    registry.save_definition(semantic("refund", REFUND, scope="input", project_id=other))
    LabelRepository(store).save_labels([new_label(other, "refund", "t1", "confirmed")])
    while learning.step():
        pass
    read.clear()

    say(store, project_id, range(8, 9), range(0))
    learning.step()

    assert read == [project_id]


def test_digest_does_not_change_with_each_judgement(store: Store, project_id: str, tasks: LabelledTasks) -> None:
    digests = set()
    for number in range(24):
        JudgementRepository(store).save_judgements([judgement(project_id, f"t{number}", "yes" if number % 2 else "no")])
        digests.add(tasks.digests(project_id, {"refund": 1}).get("refund"))
    assert 5 < len(digests) < 16


def test_is_enough_needs_eight_judgements_or_one_label() -> None:
    judged = [LabelledText({"input": "x"}, False, 0.5) for _ in range(8)]
    assert (is_enough(judged), is_enough(judged[:7]), is_enough([])) == (True, False, False)
    assert is_enough([LabelledText({"input": "x"}, True)])


def test_classifier_of_judgements_has_the_quality_of_labels(
    store: Store, project_id: str, tasks: LabelledTasks, until_done: Callable[..., int]
) -> None:
    instructions = DefinitionRepository(store)
    learning = TrainingJob(tasks, instructions, ClassifierTrainer())
    JudgementRepository(store).save_judgements(
        [judgement(project_id, f"t{n}", "yes" if n % 2 else "no") for n in range(8)]
    )
    LabelRepository(store).save_labels([new_label(project_id, "refund", "t20", "confirmed")])

    until_done(learning)

    [classifier] = [row for row in instructions.classifiers() if row.project_id == project_id]
    assert '"confirmed": 1, "rejected": 0' in classifier.quality
    assert classifier.classifier


def test_trainer_cross_validates_nothing_without_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer_module.TrainingSet, "cross_validated", None)
    refund = semantic("refund", REFUND, scope="input")
    examples = [Example({"input": f"text {n}"}, n % 2 == 0, 0.5) for n in range(8)]
    trained = ClassifierTrainer().train([refund], {"refund": examples}, ["refund"])["refund"]
    assert trained.classifier
    assert json.loads(trained.quality)["precision"] is None
