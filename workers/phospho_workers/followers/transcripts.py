"""Sessions and definitions in, what is found in them out: pure, without ClickHouse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from phospho_schemas.ids import derived_id, event_id
from phospho_schemas.messages import EventDefinition, ProjectSettings
from phospho_workers.detection.definitions import CompiledDefinitions, compile_definitions
from phospho_workers.detection.detect import analyse

Task = Mapping[str, Any]
Event = dict[str, Any]

# The last of a session is what most tells how it went; an engine reads the beginning and the end of what it gets.
MAX_TRANSCRIPT_CHARACTERS = 100_000
_EVENTS_ALONE = ProjectSettings(detect_sentiment=False, detect_language=False)


class SessionDetection:
    """
    The definitions of one project that need more than one task, compiled; safe to share between threads.

    Each is handed to its engine as a definition of one task, and what it reads is put together into that task.
    """

    def __init__(self, compiled: CompiledDefinitions) -> None:
        wanted = compiled.of_sessions if compiled.settings.detect_events else ()
        self._by_name = {one.name: one for one in wanted}
        chosen = self._by_name.values()
        self._whole = _compiled([one for one in chosen if one.scope == "session"])
        self._last = _compiled([one for one in chosen if one.is_last_task and one.scope != "session"])
        self._windows = {
            turns: _compiled([one for one in chosen if _window(one) == turns])
            for turns in {_window(one) for one in chosen}
            if turns
        }

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
        last = tasks[-1]
        as_one = {**last, "input": transcript(tasks), "output": "", "system_prompt": ""}
        return self._found(as_one, self._whole) + self._found(last, self._last)

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


def _window(definition: EventDefinition) -> int:
    return 0 if reads_whole(definition) else definition.context_turns


def _together(tasks: Sequence[Task]) -> Task:
    """Return the last task, with what each side said before it in front of what it says itself."""
    sides = {side: "\n\n".join(task[side] for task in tasks if task.get(side)) for side in ("input", "output")}
    return {**tasks[-1], **sides}


def _compiled(definitions: Sequence[EventDefinition]) -> CompiledDefinitions:
    plain = [one.model_copy(update={"is_last_task": False, "context_turns": 0} | _scope(one)) for one in definitions]
    return compile_definitions(plain, settings=_EVENTS_ALONE)


def _scope(definition: EventDefinition) -> dict[str, str]:
    return {"scope": "input"} if definition.scope == "session" else {}
