"""The detection stage: tasks in, analyses and events out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from phospho_schemas.ids import message_key
from phospho_schemas.messages import SCHEMA_VERSION
from phospho_schemas.topics import ANALYSES, EVENTS, Keyed
from phospho_workers.detection.definitions import CompiledDefinitions, Snapshot
from phospho_workers.detection.detect import TasksRefused, analyse
from phospho_workers.runtime import metrics
from phospho_workers.runtime.dead_letters import reject
from phospho_workers.runtime.json_bytes import decode_object, encode
from phospho_workers.runtime.records import Record, Rejected, StageOutput

_Task = tuple[Record, dict[str, Any]]


class Forgotten(Protocol):
    """The tombstones of what was forgotten, as phospho_store has them."""

    def refresh_if_old(self) -> None: ...

    def covers(self, row: Mapping[str, Any]) -> bool: ...


class Detection:
    """
    Turns records of the topic of tasks into analyses and events, by the current definitions.

    `definitions` returns the compiled definitions of all projects; it is called once a batch. Tasks that `tombstones`
    cover are read no further.
    """

    name = "detection"

    def __init__(self, definitions: Callable[[], Snapshot], tombstones: Forgotten | None = None) -> None:
        self._definitions = definitions
        self._tombstones = tombstones

    def __call__(self, batch: Sequence[Record]) -> StageOutput:
        output = StageOutput()
        if self._tombstones is not None:
            self._tombstones.refresh_if_old()
        tasks = [(record, task) for record in batch if (task := self._decoded(record, output)) is not None]
        for (record, _), row in self._analysed(tasks, output):
            try:
                _add(output, row)
            except Rejected as rejection:
                reject(output, record, stage=self.name, rejection=rejection, project_id=row["project_id"])
        return output

    def _decoded(self, record: Record, output: StageOutput) -> dict[str, Any] | None:
        try:
            task = decode_object(record.value)
            return None if self._tombstones is not None and self._tombstones.covers(task) else task
        except Rejected as rejection:
            reject(output, record, stage=self.name, rejection=rejection)
            return None

    def _analysed(self, tasks: list[_Task], output: StageOutput) -> list[tuple[_Task, dict[str, Any]]]:
        """Return the tasks that can be analysed, each with its analysis; the others become dead letters."""
        snapshot = self._definitions()
        tasks, rows = self._rows(tasks, snapshot.by_project, output)
        for row in rows:
            row["definitions_revision"] = snapshot.revision
        return list(zip(tasks, rows, strict=True))

    def _rows(
        self, tasks: list[_Task], definitions: Mapping[str, CompiledDefinitions], output: StageOutput
    ) -> tuple[list[_Task], list[dict[str, Any]]]:
        try:
            return tasks, analyse([task for _, task in tasks], definitions)
        except TasksRefused as refused:
            for index, detail in refused.reasons.items():
                record, task = tasks[index]
                rejection = Rejected("invalid_task", detail)
                reject(output, record, stage=self.name, rejection=rejection, project_id=_project_of(task))
            rest = [task for index, task in enumerate(tasks) if index not in refused.reasons]
            return rest, analyse([task for _, task in rest], definitions)


def _project_of(task: Mapping[str, Any]) -> str:
    project_id = task.get("project_id")
    return project_id if isinstance(project_id, str) else ""


def _add(output: StageOutput, row: dict[str, Any]) -> None:
    key = message_key(row["project_id"], row["session_id"], row["task_id"])
    output.add(ANALYSES, Keyed(key, encode(row)))
    for event in row["events"]:
        metrics.EVENTS_DETECTED.labels(event["engine"]).inc()
        output.add(EVENTS, Keyed(key, encode(_event_message(row, event))))


def _event_message(row: Mapping[str, Any], event: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "project_id": row["project_id"],
        "task_id": row["task_id"],
        "revision": row["revision"],
        "session_id": row["session_id"],
        "created_at": row["created_at"],
        "event": event,
    }
