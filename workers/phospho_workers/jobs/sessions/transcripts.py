"""Sessions and definitions in, what is found in them out: pure, without ClickHouse."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from phospho_schemas.ids import derived_id, event_id
from phospho_schemas.messages import EventDefinition, ProjectSettings
from phospho_workers.detection.definitions import CompiledDefinitions, compile_definitions
from phospho_workers.detection.detect import analyse
from phospho_workers.detection.learning.classifiers import Classifier

Task = Mapping[str, Any]
Event = dict[str, Any]

# The last of a session is what most tells how it went; an engine reads the beginning and the end of what it gets.
MAX_TRANSCRIPT_CHARACTERS = 100_000
# The groups of what is read once a session is over; the others are numbers of turns.
_WHOLE, _LAST = -2, -1
_EVENTS_ALONE = ProjectSettings(detect_sentiment=False, detect_language=False)


class SessionDetection:
    """
    The definitions of one project that need more than one task, compiled; safe to share between threads.

    Each is handed to its engine as a definition of one task, and what it reads is put together into that task. Those
    that read the same are rivals of each other, and of no others.
    """

    def __init__(self, compiled: CompiledDefinitions) -> None:
        wanted = compiled.of_sessions if compiled.settings.detect_events else ()
        self._by_name = {one.name: one for one in wanted}
        groups = groups_of(wanted)
        self._whole = _compiled(groups.pop(_WHOLE, ()), compiled.classifiers)
        self._last = _compiled(groups.pop(_LAST, ()), compiled.classifiers)
        self._windows = {turns: _compiled(chosen, compiled.classifiers) for turns, chosen in groups.items()}

    @property
    def reads_whole(self) -> bool:
        """Whether anything is looked for once a session is over."""
        return any(reads_whole(one) for one in self._by_name.values())

    @property
    def context_turns(self) -> int:
        """How many tasks before a turn are read with it at most."""
        return max(self._windows, default=0)

    def in_session(self, tasks: Sequence[Task]) -> list[Event]:
        """Return what is found in a session that is over: its tasks in their order, one at least."""
        return self._found(_whole(tasks), self._whole) + self._found(tasks[-1], self._last)

    def in_turn(self, tasks: Sequence[Task]) -> list[Event]:
        """Return what is found in the last of `tasks`, read with those before it: up to `context_turns`."""
        found = []
        for turns, compiled in sorted(self._windows.items()):
            found += self._found(_together(tasks[-turns - 1 :]), compiled)
        return sorted(found, key=lambda event: str(event["name"]))

    def _found(self, task: Task, compiled: CompiledDefinitions) -> list[Event]:
        if not compiled.engines:
            return []
        [row] = analyse([task], {task["project_id"]: compiled})
        return [self._named(task, event) for event in row["events"]]

    def _named(self, task: Task, event: Event) -> Event:
        """Return an event under its own definition's scope. One of a whole session is the same at every last task."""
        definition = self._by_name[event["name"]]
        project_id, name = task["project_id"], definition.name
        is_whole = definition.scope == "session"
        identity = (
            derived_id("session-event", project_id, task["session_id"], name)
            if is_whole
            else event_id(project_id, task["task_id"], name)
        )
        return event | {"id": identity, "scope": definition.scope}


def transcript(tasks: Sequence[Task]) -> str:
    """Return what both said, a paragraph a side; of a long session the end."""
    said = [
        f"{who}: {task[side]}"
        for task in tasks
        for who, side in (("User", "input"), ("Assistant", "output"))
        if task.get(side)
    ]
    return "\n\n".join(said)[-MAX_TRANSCRIPT_CHARACTERS:]


def reads_whole(definition: EventDefinition) -> bool:
    """Tell whether a definition is looked for once a session is over."""
    return definition.scope == "session" or definition.is_last_task


def groups_of(definitions: Iterable[EventDefinition]) -> dict[int, list[EventDefinition]]:
    """Return the definitions by what they read: so many tasks before a turn (0 of single tasks), or a session."""
    groups: dict[int, list[EventDefinition]] = {}
    for one in definitions:
        group = _WHOLE if one.scope == "session" else _LAST if one.is_last_task else one.context_turns
        groups.setdefault(group, []).append(one)
    return groups


def as_one(definition: EventDefinition, tasks: Sequence[Task]) -> Task:
    """Return what a definition reads of a session's tasks up to the one that its event stands at, as one task."""
    if definition.scope == "session":
        return _whole(tasks)
    return tasks[-1] if definition.is_last_task else _together(tasks[-definition.context_turns - 1 :])


def of_one(definition: EventDefinition) -> EventDefinition:
    """Return the definition which reads the task of `as_one`."""
    scope = {"scope": "input"} if definition.scope == "session" else {}
    return definition.model_copy(update={"is_last_task": False, "context_turns": 0} | scope)


def _whole(tasks: Sequence[Task]) -> Task:
    return {**tasks[-1], "input": transcript(tasks), "output": "", "system_prompt": ""}


def _together(tasks: Sequence[Task]) -> Task:
    """Return the last task, with what each side said before it in front of what it says itself."""
    sides = {side: "\n\n".join(task[side] for task in tasks if task.get(side)) for side in ("input", "output")}
    return {**tasks[-1], **sides}


def _compiled(definitions: Sequence[EventDefinition], classifiers: Mapping[str, Classifier]) -> CompiledDefinitions:
    chosen = {one.name: classifiers[one.name] for one in definitions if one.name in classifiers}
    return compile_definitions([of_one(one) for one in definitions], chosen, _EVENTS_ALONE)
