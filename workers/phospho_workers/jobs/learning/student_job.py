"""The job that teaches each project's student from a sample of its texts."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from threadpoolctl import threadpool_limits

from phospho_schemas.definitions.engines import engine_spec
from phospho_schemas.rows.jobs import StudentRow
from phospho_schemas.times import utc_now
from phospho_store.registry.definition_sets import TABLES, DefinitionRepository
from phospho_store.sql import compose
from phospho_store.store import Store
from phospho_workers.detection.learning.student_fitting import MIN_TEXTS, Validation, learn_student
from phospho_workers.detection.semantic.student import Student
from phospho_workers.detection.text.sides import Side
from phospho_workers.jobs.loop.leases import Holds, all_projects
from phospho_workers.jobs.stored_tasks import shortened, task_counts

logger = logging.getLogger(__name__)

# Learnt anew when a project has so many times the tasks that it had, and when a student is so old: traffic drifts.
_GROWTH = 3
_MAX_AGE = timedelta(days=7)
# Several tasks have one text.
_SAMPLED_TASKS = 6_000
_KEPT_CHARACTERS = 1_000
_SIDES: tuple[Side, ...] = ("input", "output")

# Every $step-th task by the hash of its id: the same ones whenever it is asked.
# Parameters: project, step.
_SAMPLE = compose(
    """
SELECT $texts FROM
(
    SELECT input, output FROM task_rows FINAL
    WHERE project_id = {project:String} AND cityHash64(task_id) % {step:UInt64} = 0
    LIMIT $limit
) AS t
""",
    texts=shortened(_SIDES, _KEPT_CHARACTERS),
    limit=str(2 * _SAMPLED_TASKS),
)


class _DueProject(NamedTuple):
    project_id: str
    tasks: int
    previous: StudentRow | None


class StudentJob:
    """
    Keeps a student for every project with definitions that learn, one project a step.

    A student that comes no nearer to its encoder than the mean of all texts is stored empty, and not used.
    """

    name = "students"
    pause_s = 30.0
    tables = (*TABLES, "task_rows")
    max_pause_s = 3_600.0

    def __init__(
        self,
        store: Store,
        definitions: DefinitionRepository,
        now: Callable[[], datetime] = utc_now,
        holds: Holds = all_projects,
    ) -> None:
        self._holds = holds
        self._store = store
        self._definitions = definitions
        self._now = now

    def step(self) -> bool:
        """Learn the student of one project that is due, and return whether there was any."""
        due = self._due()
        if due is None:
            return False
        with threadpool_limits(1, "blas"):
            learnt = learn_student(self._texts(due))
        self._definitions.save_student(self._row(due, learnt))
        return True

    def _due(self) -> _DueProject | None:
        definition_set = self._definitions.read()
        learning = {
            definition.project_id
            for definition in definition_set.definitions
            if engine_spec(definition.engine).learns
            and not definition.is_deleted
            and self._holds(definition.project_id)
        }
        students = {student.project_id: student for student in definition_set.students}
        for project_id, tasks in task_counts(self._store):
            project = _DueProject(project_id, tasks, students.get(project_id))
            if project.project_id in learning and self._is_due(project):
                return project
        return None

    def _is_due(self, project: _DueProject) -> bool:
        if project.tasks < MIN_TEXTS or project.previous is None:
            return project.tasks >= MIN_TEXTS
        has_grown = project.tasks >= _GROWTH * project.previous.tasks and project.previous.tasks < _SAMPLED_TASKS
        is_old = self._now() - project.previous.created_at > _MAX_AGE and project.tasks > project.previous.tasks
        return has_grown or is_old

    def _texts(self, project: _DueProject) -> dict[Side, list[str]]:
        step = max(1, project.tasks // _SAMPLED_TASKS)
        rows: list[Mapping[str, Any]] = list(self._store.rows(_SAMPLE, {"project": project.project_id, "step": step}))
        return {side: [row[side] for row in rows if row[side]] for side in _SIDES}

    def _row(self, project: _DueProject, learnt: tuple[Student, Validation] | None) -> StudentRow:
        student, validation = learnt or (None, Validation(0.0, 0.0))
        is_used = student is not None and validation.is_worth_it
        version = project.previous.version + 1 if project.previous else 1
        if student is None:
            logger.info("%s: no student: no encoder is installed, or its texts are too few", project.project_id)
        else:
            outcome = "is used" if is_used else "comes no nearer to it than the mean does, and is not used"
            logger.info("%s: student %d %s", project.project_id, version, outcome)
        return StudentRow(
            project_id=project.project_id,
            version=version,
            encoder=student.encoder if student is not None else "",
            tasks=project.tasks,
            student=student.to_json() if student is not None and is_used else "",
            quality=json.dumps(validation._asdict()),
            created_at=self._now(),
        )
