"""Detection in sessions: the definitions that read more than one task, applied to the tasks of a session. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from phospho_schemas.ids import derived_id, event_id
from phospho_schemas.messages import EventDefinition, ProjectSettings
from phospho_workers.detection.definitions import CompiledDefinitions, compile_definitions
from phospho_workers.detection.detect import analyse
from phospho_workers.detection.text.sides import MESSAGE_BREAK

Task = Mapping[str, Any]
Event = dict[str, Any]

# The groups of definitions that are read once a session is over; the others are numbers of context turns.
_WHOLE, _LAST = -2, -1
_EVENTS_ALONE = ProjectSettings(detect_sentiment=False, detect_language=False)

# The end of a session tells most; an engine reads the beginning and the end of a text.
MAX_TRANSCRIPT_CHARACTERS = 100_000


class SessionDetection:
    """
    The definitions of one project that read more than one task, compiled. Thread-safe.

    The tasks that a definition reads are joined into one, and its engine runs on that. Definitions that read the same
    tasks are rivals of each other, and of no others.
    """

    def __init__(self, compiled: CompiledDefinitions) -> None:
        definitions = compiled.of_sessions if compiled.settings.detect_events else ()
        self._by_name = {definition.name: definition for definition in definitions}
        groups = group_by_reading(definitions)
        self._whole = _compiled(groups.pop(_WHOLE, ()), compiled)
        self._last = _compiled(groups.pop(_LAST, ()), compiled)
        self._turns = {turns: _compiled(group, compiled) for turns, group in groups.items()}

    @property
    def reads_session_ends(self) -> bool:
        """True if any definition is read once a session is over."""
        return any(is_read_at_session_end(definition) for definition in self._by_name.values())

    @property
    def context_turns(self) -> int:
        """The greatest number of tasks before a turn that are read with it."""
        return max(self._turns, default=0)

    def detect_in_session(self, tasks: Sequence[Task]) -> list[Event]:
        """Return the events of a session that is over: its tasks in their order, at least one."""
        return self._detect(whole_session(tasks), self._whole) + self._detect(tasks[-1], self._last)

    def detect_in_turn(self, tasks: Sequence[Task]) -> list[Event]:
        """Return the events of the last of `tasks`, read with those before it: up to `context_turns`."""
        events = []
        for turns, compiled in sorted(self._turns.items()):
            events += self._detect(last_turns(tasks, turns), compiled)
        return sorted(events, key=lambda event: str(event["name"]))

    def _detect(self, task: Task, compiled: CompiledDefinitions) -> list[Event]:
        if not compiled.engines:
            return []
        [row] = analyse([task], {task["project_id"]: compiled})
        return [self._identified(task, event) for event in row["events"]]

    def _identified(self, task: Task, event: Event) -> Event:
        """Return an event with its definition's scope; one of a whole session has the same id at every last task."""
        definition = self._by_name[event["name"]]
        project_id, name = task["project_id"], definition.name
        is_whole = definition.scope == "session"
        identity = (
            derived_id("session-event", project_id, task["session_id"], name)
            if is_whole
            else event_id(project_id, task["task_id"], name)
        )
        return event | {"id": identity, "scope": definition.scope}


def is_read_at_session_end(definition: EventDefinition) -> bool:
    """Tell whether a definition is read once a session is over."""
    return definition.scope == "session" or definition.is_last_task


def group_by_reading(definitions: Iterable[EventDefinition]) -> dict[int, list[EventDefinition]]:
    """Return the definitions by what they read: a number of tasks before a turn (0 for single tasks), or a session."""
    groups: dict[int, list[EventDefinition]] = {}
    for definition in definitions:
        if definition.scope == "session":
            group = _WHOLE
        else:
            group = _LAST if definition.is_last_task else definition.context_turns
        groups.setdefault(group, []).append(definition)
    return groups


def _compiled(definitions: Sequence[EventDefinition], of_project: CompiledDefinitions) -> CompiledDefinitions:
    task_definitions = [as_task_definition(definition) for definition in definitions]
    return compile_definitions(task_definitions, of_project.classifiers, _EVENTS_ALONE, of_project.student)


def transcript(tasks: Sequence[Task]) -> str:
    """Return the messages of both sides in their order, nothing else; of a long session the end."""
    messages = [task[side] for task in tasks for side in ("input", "output") if task.get(side)]
    return MESSAGE_BREAK.join(messages)[-MAX_TRANSCRIPT_CHARACTERS:]


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
    sides = {side: MESSAGE_BREAK.join(task[side] for task in window if task.get(side)) for side in ("input", "output")}
    return {**tasks[-1], **sides}
