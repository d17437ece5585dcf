"""Several tasks of a session joined into one, for an engine that reads one task. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from phospho_schemas.messages import EventDefinition

Task = Mapping[str, Any]

# The end of a session tells most; an engine reads the beginning and the end of a text.
MAX_TRANSCRIPT_CHARACTERS = 100_000


def transcript(tasks: Sequence[Task]) -> str:
    """Return the texts of both sides, a paragraph each; of a long session the end."""
    paragraphs = [
        f"{speaker}: {task[side]}"
        for task in tasks
        for speaker, side in (("User", "input"), ("Assistant", "output"))
        if task.get(side)
    ]
    return "\n\n".join(paragraphs)[-MAX_TRANSCRIPT_CHARACTERS:]


def joined_task(definition: EventDefinition, tasks: Sequence[Task]) -> Task:
    """Return what a definition reads of a session's tasks up to that of its event, as one task."""
    if definition.scope == "session":
        return whole_session(tasks)
    return tasks[-1] if definition.is_last_task else last_turns(tasks, definition.context_turns)


def as_task_definition(definition: EventDefinition) -> EventDefinition:
    """Return the definition of one task that reads a joined task as `definition` reads a session."""
    scope = {"scope": "input"} if definition.scope == "session" else {}
    return definition.model_copy(update={"is_last_task": False, "context_turns": 0} | scope)


def whole_session(tasks: Sequence[Task]) -> Task:
    """Return the last task with the transcript of the session as its input."""
    return {**tasks[-1], "input": transcript(tasks), "output": "", "system_prompt": ""}


def last_turns(tasks: Sequence[Task], context_turns: int) -> Task:
    """Return the last task, each side with the texts of that side in the `context_turns` tasks before it."""
    window = tasks[-context_turns - 1 :]
    sides = {side: "\n\n".join(task[side] for task in window if task.get(side)) for side in ("input", "output")}
    return {**tasks[-1], **sides}
