"""The texts of a project teach its student, which detection uses from then on, and which is learnt anew in time."""

from __future__ import annotations

from datetime import timedelta

import pytest

from phospho_schemas.times import utc_now
from phospho_store.registry.definition_sets import DefinitionRepository
from phospho_store.registry.registry import Registry
from phospho_store.store import Store
from phospho_workers.detection.learning.student_fitting import MIN_TEXTS
from phospho_workers.detection.loader import DefinitionCache
from phospho_workers.jobs.learning.student_job import StudentJob
from store.facts import insert, task
from workers.detection.learning.test_students import TEXTS
from workers.detection.tasks import semantic


@pytest.fixture
def definitions(store: Store) -> DefinitionRepository:
    return DefinitionRepository(store)


def insert_texts(store: Store, project_id: str, count: int, begin: int = 0) -> None:
    insert(
        store,
        "task_rows",
        *(task(project_id, str(number), input=TEXTS[number], output="") for number in range(begin, begin + count)),
    )


def test_student_is_learnt_used_and_learnt_anew(
    store: Store, registry: Registry, project_id: str, definitions: DefinitionRepository
) -> None:
    registry.save_definition(
        semantic("refund", "The user wants a refund").model_copy(update={"project_id": project_id})
    )
    job = StudentJob(store, definitions)
    insert_texts(store, project_id, MIN_TEXTS - 20)
    assert (job.step(), definitions.students()) == (False, [])

    insert_texts(store, project_id, 20, MIN_TEXTS - 20)
    assert (job.step(), job.step()) == (True, False)
    [row] = definitions.students()
    assert (row.version, row.tasks) == (1, MIN_TEXTS)
    compiled = DefinitionCache(DefinitionRepository(store)).current().by_project[project_id]
    assert compiled.student is not None
    assert compiled.student.version == 1

    insert_texts(store, project_id, 10, MIN_TEXTS)
    later = StudentJob(store, definitions, now=lambda: utc_now() + timedelta(days=8))
    assert (job.step(), later.step()) == (False, True)
    assert [student.version for student in DefinitionRepository(store).students()] == [2]


def test_project_without_definitions_that_learn_gets_no_student(
    store: Store, project_id: str, definitions: DefinitionRepository
) -> None:
    insert_texts(store, project_id, MIN_TEXTS)
    assert not StudentJob(store, definitions).step()
