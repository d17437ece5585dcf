"""A run of one definition over tasks, which stores nothing, and the queue of the tasks to label next."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from phospho_schemas.definitions.engines import engine_spec
from phospho_schemas.definitions.validation import needs_session
from phospho_schemas.messages import EventDefinition
from phospho_workers.detection.definitions import NO_DEFINITIONS, CompiledDefinitions, Snapshot, compile_definitions
from phospho_workers.detection.detect import analyse, check_task
from phospho_workers.detection.learning.quality import UnlabelledTask, most_informative
from phospho_workers.detection.text.sides import texts_of
from phospho_workers.jobs.backfills.definition_backfill import SessionBackfill, analyse_project, events_only
from phospho_workers.jobs.backfills.history import History, Span
from phospho_workers.jobs.sessions.session_facts import SessionFacts

Task = Mapping[str, Any]
Event = Mapping[str, Any]
DefinitionRun = Callable[[Sequence[Task]], Mapping[str, Event]]


def definition_run(facts: SessionFacts, definition: EventDefinition, compiled: CompiledDefinitions) -> DefinitionRun:
    """Return a function that finds a definition's events in tasks, or in the sessions that end in them, by task id."""
    if not needs_session(definition):
        return lambda tasks: _events(tasks, compiled, definition.name)
    sessions = SessionBackfill(facts, definition, compiled)
    return lambda tasks: sessions.events_of([task["task_id"] for task in tasks])


def valid_tasks(history: History, project_id: str, task_ids: Sequence[str]) -> list[dict[str, Any]]:
    """Return the stored tasks of these ids that can be analysed."""
    return [task for task in history.tasks(project_id, task_ids) if check_task(task) is None]


def _events(tasks: Sequence[Task], compiled: CompiledDefinitions, name: str) -> dict[str, Event]:
    rows = analyse_project(tasks, compiled)
    return {row["task_id"]: event for row in rows for event in row["events"] if event["name"] == name}


class Preview:
    """Tries definitions as a project would use them: beside its other definitions, and with its student."""

    def __init__(self, definitions: Callable[[], Snapshot]) -> None:
        self._definitions = definitions

    def events(self, definition: EventDefinition, tasks: Sequence[Mapping[str, Any]]) -> list[dict[str, Any] | None]:
        """Return the event that a definition, untrained, finds in each task of its project, or None."""
        current = self._definitions().by_project.get(definition.project_id, NO_DEFINITIONS)
        others = [other for other in current.definitions if other.name != definition.name]
        compiled = compile_definitions([*others, definition], student=current.student)
        rows = analyse(tasks, {definition.project_id: events_only(compiled)})
        return [next((event for event in row["events"] if event["name"] == definition.name), None) for row in rows]


_TASKS = 1_000
# With this threshold a definition is found in every task that says anything, with its score.
_NO_THRESHOLD = 0.0


class LabelQueue:
    """Chooses among the latest 1,000 tasks without a label. Blocking, for half a second."""

    def __init__(self, history: History, definitions: Callable[[], Snapshot]) -> None:
        self._history = history
        self._definitions = definitions

    def tasks(self, project_id: str, event_name: str, count: int = 20) -> list[str]:
        """Return the ids of the most informative tasks, the best first; none where the engine does not learn."""
        current = self._definitions().by_project.get(project_id, NO_DEFINITIONS)
        definition = next((definition for definition in current.definitions if definition.name == event_name), None)
        if definition is None or not engine_spec(definition.engine).learns or definition in current.of_sessions:
            return []
        ids = self._history.newest(Span(project_id), _TASKS, without_label=event_name)
        tasks = valid_tasks(self._history, project_id, ids)
        texts = {task["task_id"]: " ".join(texts_of(task, definition.scope).values()) for task in tasks}
        unlabelled = [
            UnlabelledTask(row["task_id"], texts[row["task_id"]], event["score"])
            for row in analyse_project(tasks, _without_threshold(current, event_name))
            for event in row["events"]
            if event["name"] == event_name
        ]
        return most_informative(unlabelled, definition.threshold, count)


def _without_threshold(current: CompiledDefinitions, name: str) -> CompiledDefinitions:
    definitions = [
        definition.model_copy(update={"threshold": _NO_THRESHOLD}) if definition.name == name else definition
        for definition in current.definitions
    ]
    return events_only(compile_definitions(definitions, current.classifiers, current.settings, current.student))
