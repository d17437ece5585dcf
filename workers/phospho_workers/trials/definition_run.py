"""A run of one definition over tasks: over stored ones, or over those of a preview. It stores nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from phospho_schemas.definitions import needs_session
from phospho_schemas.messages import EventDefinition
from phospho_workers.detection.definitions import CompiledDefinitions, compile_definitions
from phospho_workers.detection.detect import analyse, check_task
from phospho_workers.jobs.backfills.history import History
from phospho_workers.jobs.backfills.session_backfill import SessionBackfill
from phospho_workers.jobs.backfills.task_backfill import analyse_project
from phospho_workers.jobs.sessions.session_facts import SessionFacts

Task = Mapping[str, Any]
Event = Mapping[str, Any]
DefinitionRun = Callable[[Sequence[Task]], Mapping[str, Event]]


def definition_run(facts: SessionFacts, definition: EventDefinition, compiled: CompiledDefinitions) -> DefinitionRun:
    """Return a function that finds a definition's events in tasks, or in the sessions that end in them, by task id."""
    if not needs_session(definition):
        return lambda tasks: _events(tasks, compiled, definition.name)
    sessions = SessionBackfill(facts, definition, compiled)
    return lambda tasks: sessions.found([task["task_id"] for task in tasks])


def valid_tasks(history: History, project_id: str, task_ids: Sequence[str]) -> list[dict[str, Any]]:
    """Return the stored tasks of these ids that can be analysed."""
    return [task for task in history.tasks(project_id, task_ids) if check_task(task) is None]


def _events(tasks: Sequence[Task], compiled: CompiledDefinitions, name: str) -> dict[str, Event]:
    rows = analyse_project(tasks, compiled)
    return {row["task_id"]: event for row in rows for event in row["events"] if event["name"] == name}


def preview_events(definition: EventDefinition, tasks: Sequence[Mapping[str, Any]]) -> list[dict[str, Any] | None]:
    """Return the event that a definition finds in each task, or None."""
    rows = analyse(tasks, {definition.project_id: compile_definitions([definition])})
    return [next(iter(row["events"]), None) for row in rows]
