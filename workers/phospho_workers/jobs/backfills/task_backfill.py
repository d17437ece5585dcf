"""A backfill of a definition that reads single tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from phospho_schemas.messages import EventDefinition
from phospho_workers.detection.definitions import CompiledDefinitions
from phospho_workers.detection.detect import analyse, check_task
from phospho_workers.jobs.backfills.analysis_merge import backfilled_revision, is_outdated, merged_row
from phospho_workers.jobs.backfills.history import History


class TaskBackfill:
    """A definition to run over past tasks. Blocking; raises what the store raises. Thread-safe."""

    def __init__(self, history: History, definition: EventDefinition, compiled: CompiledDefinitions) -> None:
        self._history = history
        self._project_id, self._name = definition.project_id, definition.name
        self._compiled = compiled

    def run(self, task_ids: Sequence[str], definitions_revision: int) -> int:
        """Rewrite the analyses of these tasks that are of earlier definitions, and return how many events there are."""
        stored = self._history.analyses(self._project_id, task_ids)
        # Tasks that detection can't read are dead letters already.
        tasks = [task for task in self._history.tasks(self._project_id, task_ids) if check_task(task) is None]
        rows = analyse_project([task for task in tasks if task["task_id"] in stored], events_only(self._compiled))
        rows += analyse_project([task for task in tasks if task["task_id"] not in stored], self._compiled)
        merged = [self._merged(stored.get(row["task_id"]), row, definitions_revision) for row in rows]
        self._history.save([row for row in merged if row is not None])
        return sum(event["name"] == self._name for row in rows for event in row["events"])

    def _merged(
        self, stored: Mapping[str, Any] | None, row: Mapping[str, Any], definitions_revision: int
    ) -> dict[str, Any] | None:
        """Return the row to store; None where the stored one is up to date."""
        if not is_outdated(stored, row["revision"], definitions_revision):
            return None
        if stored is None:
            return {**row, "definitions_revision": backfilled_revision(None, definitions_revision)}
        return merged_row(
            stored, row, name=self._name, fields=["events", "candidates"], definitions_revision=definitions_revision
        )


def analyse_project(tasks: Sequence[Mapping[str, Any]], compiled: CompiledDefinitions) -> list[dict[str, Any]]:
    """Return the analyses of tasks of one project."""
    return analyse(tasks, {tasks[0]["project_id"]: compiled}) if tasks else []


def events_only(compiled: CompiledDefinitions) -> CompiledDefinitions:
    """Return the definitions of a project without the detection of sentiment and language."""
    settings = compiled.settings.model_copy(update={"detect_sentiment": False, "detect_language": False})
    return replace(compiled, settings=settings)
