"""What an LLM said teaches the heads: less than people do, and not one verdict at a time."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from phospho_schemas.messages import VerdictRow
from phospho_store.instructions import InstructionBook
from phospho_store.labels import LabelBook, new_label
from phospho_store.registry import Registry
from phospho_store.store import Store
from phospho_store.verdicts import VerdictBook
from phospho_workers.detection.teaching import Labelled
from phospho_workers.followers import teaching
from phospho_workers.followers.labelled import Example, LabelledTasks
from phospho_workers.followers.learning import Learning
from phospho_workers.followers.teaching import HeadTeacher, is_enough
from store.facts import insert, task
from workers.detection.tasks import semantic

REFUND = "The user wants money back"


@pytest.fixture
def tasks(store: Store, registry: Registry, project_id: str) -> LabelledTasks:
    registry.save_definition(semantic("refund", REFUND, scope="input", project_id=project_id))
    insert(store, "task_rows", *(task(project_id, f"t{n}", input=f"text {n}") for n in range(40)))
    return LabelledTasks(store)


def verdict(project_id: str, task_id: str, said: str = "yes", **fields: object) -> VerdictRow:
    known = {"project_id": project_id, "name": "refund", "definition_version": 1, "content": task_id, "judge": "llm"}
    known |= {"verdict": said, "task_id": task_id, "created_at": datetime.now(UTC)}
    return VerdictRow.model_validate(known | fields)


def shown(tasks: LabelledTasks, project_id: str) -> dict[str, tuple[bool, float]]:
    examples = tasks.examples(project_id, [semantic("refund", REFUND, scope="input", project_id=project_id)])["refund"]
    return {one.task["task_id"]: (one.is_there, one.weight) for one in examples}


def test_a_verdict_is_an_example_of_less_weight_and_a_person_s_label_replaces_it(
    store: Store, project_id: str, tasks: LabelledTasks
) -> None:
    VerdictBook(store).save_verdicts([verdict(project_id, "t1"), verdict(project_id, "t2", "no")])
    assert shown(tasks, project_id) == {"t1": (True, 0.5), "t2": (False, 0.5)}

    LabelBook(store).save_labels([new_label(project_id, "refund", "t1", "rejected")])

    assert shown(tasks, project_id) == {"t1": (False, 1.0), "t2": (False, 0.5)}


@pytest.mark.parametrize("other", [{"verdict": ""}, {"judge": "encoder"}, {"definition_version": 7}])
def test_what_does_not_teach(store: Store, project_id: str, tasks: LabelledTasks, other: dict[str, object]) -> None:
    VerdictBook(store).save_verdicts([verdict(project_id, "t1", **other)])
    assert shown(tasks, project_id) == {}


def test_verdicts_on_an_earlier_version_teach_nothing_any_more(
    store: Store, registry: Registry, project_id: str, tasks: LabelledTasks
) -> None:
    VerdictBook(store).save_verdicts([verdict(project_id, "t1")])
    registry.save_definition(semantic("refund", "The user asks for a refund", scope="input", project_id=project_id))
    assert shown(tasks, project_id) == {}


def test_a_head_is_not_learnt_anew_for_each_verdict(store: Store, project_id: str, tasks: LabelledTasks) -> None:
    digests = set()
    for number in range(24):
        VerdictBook(store).save_verdicts([verdict(project_id, f"t{number}")])
        digests.add(tasks.digests()[project_id, "refund"])
    assert 5 < len(digests) < 16


def test_few_verdicts_teach_nothing_and_one_label_of_a_person_does() -> None:
    said = [Labelled({"input": "x"}, False, 0.5) for _ in range(8)]
    assert (is_enough(said), is_enough(said[:7]), is_enough([])) == (True, False, False)
    assert is_enough([Labelled({"input": "x"}, True)])


def test_verdicts_become_a_head_and_the_quality_is_that_of_people_s_labels(
    store: Store, project_id: str, tasks: LabelledTasks, until_done: Callable[..., int]
) -> None:
    instructions = InstructionBook(store)
    learning = Learning(tasks, instructions, HeadTeacher())
    VerdictBook(store).save_verdicts([verdict(project_id, f"t{n}", "yes" if n % 2 else "no") for n in range(8)])
    LabelBook(store).save_labels([new_label(project_id, "refund", "t20", "confirmed")])

    until_done(learning)

    [head] = [one for one in instructions.heads() if one.project_id == project_id]
    assert '"confirmed": 1, "rejected": 0' in head.quality
    assert head.head


def test_no_head_is_taught_for_the_quality_of_what_no_person_labelled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teaching.School, "cross_validated", None)
    refund = semantic("refund", REFUND, scope="input")
    examples = [Example({"input": f"text {n}"}, n % 2 == 0, 0.5) for n in range(8)]
    lesson = HeadTeacher().learn([refund], {"refund": examples}, ["refund"])["refund"]
    assert lesson.head
    assert json.loads(lesson.quality)["precision"] is None
