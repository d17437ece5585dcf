"""Labelled tasks as session definitions read them: joined with the tasks of their sessions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from phospho_schemas.definitions import needs_session
from phospho_schemas.messages import EventDefinition
from phospho_workers.detection.text.reading import MAX_READ_CHARACTERS
from phospho_workers.detection.text.sides import SIDES
from phospho_workers.jobs.sessions.session_facts import SessionFacts
from phospho_workers.jobs.sessions.transcripts import joined_task

_SESSIONS_AT_ONCE = 20

Task = Mapping[str, Any]


class SessionExamples:
    """Joins labelled tasks with the tasks of their sessions. Blocking; raises what the store raises."""

    def __init__(self, facts: SessionFacts) -> None:
        self._facts = facts

    def tasks(self, definition: EventDefinition, tasks: Sequence[Task]) -> dict[str, Task]:
        """
        Return what a definition reads at each of these tasks of its project, by the task's id.

        A session is read up to the labelled task, as it was when that was its last. A task that is not among the last
        of its session is left out, and so is the middle of a long text.
        """
        if not needs_session(definition) or (definition.is_last_task and definition.scope != "session"):
            return {task["task_id"]: task for task in tasks}
        wanted = {task["task_id"] for task in tasks}
        session_ids = sorted({task["session_id"] for task in tasks})
        return {
            up_to_task[-1]["task_id"]: _without_middles(joined_task(definition, up_to_task))
            for begin in range(0, len(session_ids), _SESSIONS_AT_ONCE)
            for up_to_task in self._up_to(wanted, definition.project_id, session_ids[begin : begin + _SESSIONS_AT_ONCE])
        }

    def _up_to(self, wanted: set[str], project_id: str, session_ids: Sequence[str]) -> Iterator[Sequence[Task]]:
        """Yield for each wanted task the last tasks of its session up to it."""
        for tasks in self._facts.tasks.of_sessions(project_id, session_ids).values():
            for length, task in enumerate(tasks, 1):
                if task["task_id"] in wanted:
                    yield tasks[:length]


def _without_middles(task: Task) -> Task:
    """Return a task without the middle of its long texts, which no engine is trained on."""
    half = MAX_READ_CHARACTERS // 2
    long_texts = {side: task[side] for side in SIDES if len(task[side]) > MAX_READ_CHARACTERS}
    return {**task, **{side: f"{text[:half]}\n{text[-half:]}" for side, text in long_texts.items()}}
