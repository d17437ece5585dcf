"""Labelled tasks as definitions of sessions read them: what classifiers of such definitions are learnt from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from phospho_schemas.definitions import needs_session
from phospho_schemas.messages import EventDefinition
from phospho_workers.detection.text.reading import MAX_READ_CHARACTERS
from phospho_workers.detection.text.sides import SIDES
from phospho_workers.jobs.sessions.session_facts import SessionFacts
from phospho_workers.jobs.sessions.transcripts import as_one

_SESSIONS_AT_ONCE = 20

Task = Mapping[str, Any]


class SessionExamples:
    """Puts the tasks of examples together with those of their sessions. Blocking; raises what the store raises."""

    def __init__(self, facts: SessionFacts) -> None:
        self._facts = facts

    def tasks(self, definition: EventDefinition, tasks: Sequence[Task]) -> dict[str, Task]:
        """
        Return what a definition reads at each of these tasks of its project, by the task's id.

        A session is read up to the labelled task, as it was when that was its last. A task that is not among the last
        of its session is left out, and of a long text its middle.
        """
        if not needs_session(definition) or (definition.is_last_task and definition.scope != "session"):
            return {task["task_id"]: task for task in tasks}
        wanted = {task["task_id"] for task in tasks}
        sessions = sorted({task["session_id"] for task in tasks})
        return {
            said[-1]["task_id"]: _shortened(as_one(definition, said))
            for begin in range(0, len(sessions), _SESSIONS_AT_ONCE)
            for said in self._said(definition.project_id, sessions[begin : begin + _SESSIONS_AT_ONCE], wanted)
        }

    def _said(self, project_id: str, sessions: Sequence[str], wanted: set[str]) -> Iterator[Sequence[Task]]:
        """Yield for each wanted task the last tasks of its session up to it."""
        for tasks in self._facts.transcripts(project_id, sessions).values():
            for place, task in enumerate(tasks, 1):
                if task["task_id"] in wanted:
                    yield tasks[:place]


def _shortened(task: Task) -> Task:
    """Return a task without the middle of its long texts, which no engine learns from."""
    half = MAX_READ_CHARACTERS // 2
    long = {side: task[side] for side in SIDES if len(task[side]) > MAX_READ_CHARACTERS}
    return {**task, **{side: f"{text[:half]}\n{text[-half:]}" for side, text in long.items()}}
