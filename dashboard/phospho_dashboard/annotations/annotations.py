"""What people say of tasks: labels on events, flags and notes."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from phospho_dashboard.auth.visitors import Visitor
from phospho_dashboard.projects.projects import first_message
from phospho_dashboard.services import Services
from phospho_schemas.messages import Label, Note
from phospho_store.annotations.labels import LabelBook
from phospho_web.problems import Problem

MAX_LABELS = 1000
MAX_NOTE_CHARACTERS = 10_000
# What a person says of an event, beside its name.
_LABEL_FIELDS = ("task_id", "label", "value", "category", "comment")

_KNOWN_TASKS = """
SELECT DISTINCT task_id FROM task_rows WHERE project_id = {project:String} AND task_id IN {tasks:Array(String)}
"""
# What detection found on a task may be judged after its definition has gone.
_KNOWN_EVENTS = """
SELECT name FROM definitions WHERE project_id = {project:String}
UNION DISTINCT
SELECT DISTINCT toString(arrayJoin(events.name)) AS name FROM analysis_rows
WHERE project_id = {project:String} AND task_id IN {tasks:Array(String)}
"""
_OF_SESSIONS = """
SELECT name FROM definitions WHERE project_id = {project:String} AND name IN {names:Array(String)} AND scope = 'session'
"""
# The last task of each session that holds, or held, one of the tasks.
_LAST_TASKS = """
SELECT argMax(task_id, (created_at, task_id)) AS last_task
FROM task_rows FINAL
WHERE project_id = {project:String} AND session_id IN (
    SELECT session_id FROM task_rows WHERE project_id = {project:String} AND task_id IN {tasks:Array(String)}
)
GROUP BY session_id
"""
_LABELS = """
SELECT event_name, task_id, label, value, category, comment, created_by,
    toUnixTimestamp64Milli(created_at) AS created_at_ms
FROM label_rows FINAL
WHERE project_id = {project:String} AND (event_name = {event:String} OR {event:String} = '') AND label != ''
    AND (created_at_ms, concat(task_id, '\\0', event_name)) < ({before_ms:Int64}, {before_id:String})
ORDER BY created_at_ms DESC, concat(task_id, '\\0', event_name) DESC
LIMIT {limit:UInt32}
"""


class Acting:
    """Writes what people say. All but `flag` block; each raises Problem 404 or 422, and what the store raises."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._store = services.store
        self._book = LabelBook(services.store)

    def label(self, project_id: str, visitor: Visitor, wanted: Sequence[Any]) -> list[Label]:
        """
        Store labels, all or none: `{"event", "task_id", "label", "value"?, "category"?, "comment"?}` each.

        An empty label takes a label back. A confirmed event that detection did not find is added to its task; one of
        whole sessions stands at the last task of its session, and at no other.
        """
        labels = [self._label(project_id, visitor, item) for item in wanted]
        task_ids = sorted({label.task_id for label in labels})
        self._check_tasks(project_id, task_ids)
        self._check_events(project_id, task_ids, {label.event_name for label in labels})
        self._check_places(project_id, [label for label in labels if label.label == "confirmed"])
        return self._book.save_labels(labels)

    def labels(self, project_id: str, event: str, before: tuple[int, str], limit: int) -> list[dict[str, Any]]:
        """Return the labels of one event, or of all for an empty name, the latest first."""
        place = {"before_ms": before[0], "before_id": before[1], "limit": limit}
        return self._store.rows(_LABELS, {"project": project_id, "event": event, **place})

    def note(self, project_id: str, visitor: Visitor, task_id: str, text: str) -> Note:
        """Write a note on a task."""
        if not text.strip():
            raise Problem(422, "empty_note", "a note says something")
        self._check_tasks(project_id, [task_id])
        return self._save_note(project_id, task_id, "note_" + secrets.token_hex(8), text, visitor, is_deleted=False)

    def delete_note(self, project_id: str, visitor: Visitor, task_id: str, note_id: str) -> None:
        """Delete a note; Problem 404 where there is none."""
        known = [note for note in self._book.notes(project_id, [task_id]) if note.note_id == note_id]
        if not known:
            raise Problem(404, "unknown_note", f"there is no note {note_id!r} on this task")
        self._save_note(project_id, task_id, note_id, "", visitor, is_deleted=True)

    async def flag(self, project_id: str, visitor: Visitor, task_id: str, flag: str, comment: str) -> None:
        """
        Say that a task went well or not: a feedback like any that the API takes, on the same path.

        It returns when the feedback is durable. Raises Problem 404, 422, or 503 in a process that can't publish.
        """
        publisher, read_feedback = self._services.publisher, self._services.read_feedback
        if publisher is None or read_feedback is None:
            raise Problem(503, "no_publisher", "this process can't publish", "ask the gateway, or phospho up")
        await self._services.threads.run(self._check_tasks, project_id, [task_id])
        body = {"flag": flag, "comment": comment, "source": author(visitor)}
        await publisher.publish([read_feedback(project_id, task_id, body)])

    def _label(self, project_id: str, visitor: Visitor, item: Any) -> Label:
        if not isinstance(item, dict):
            raise Problem(422, "invalid_label", "a label must be an object")
        unknown = sorted(str(name) for name in item if name not in ("event", *_LABEL_FIELDS))
        if unknown:
            hint = f"a label has event, {', '.join(_LABEL_FIELDS)}"
            raise Problem(422, "invalid_label", f"unknown field {unknown[0]!r}", hint)
        given = {name: item[name] for name in _LABEL_FIELDS if name in item}
        fixed = {"project_id": project_id, "created_by": author(visitor), "created_at": datetime.now(UTC)}
        try:
            return Label.model_validate({"event_name": item.get("event"), **given, **fixed})
        except ValidationError as error:
            raise Problem(422, "invalid_label", first_message(error)) from None

    def _save_note(
        self, project_id: str, task_id: str, note_id: str, text: str, visitor: Visitor, *, is_deleted: bool
    ) -> Note:
        try:
            note = Note(
                project_id=project_id,
                task_id=task_id,
                note_id=note_id,
                text=text,
                created_by=author(visitor),
                is_deleted=is_deleted,
                created_at=datetime.now(UTC),
            )
        except ValidationError as error:
            raise Problem(422, "invalid_note", first_message(error)) from None
        return self._book.save_note(note)

    def _check_tasks(self, project_id: str, task_ids: Sequence[str]) -> None:
        rows = self._store.rows(_KNOWN_TASKS, {"project": project_id, "tasks": list(task_ids)})
        missing = set(task_ids) - {row["task_id"] for row in rows}
        if missing:
            raise Problem(404, "unknown_task", f"there is no task {min(missing)!r} in this project")

    def _check_events(self, project_id: str, task_ids: list[str], names: set[str]) -> None:
        known = {row["name"] for row in self._store.rows(_KNOWN_EVENTS, {"project": project_id, "tasks": task_ids})}
        unknown = names - known
        if unknown:
            raise unknown_event(min(unknown))

    def _check_places(self, project_id: str, labels: Sequence[Label]) -> None:
        names = sorted({label.event_name for label in labels})
        whole = self._store.rows(_OF_SESSIONS, {"project": project_id, "names": names}) if names else []
        tasks = {label.task_id for label in labels if {"name": label.event_name} in whole}
        if not tasks:
            return
        last = self._store.rows(_LAST_TASKS, {"project": project_id, "tasks": sorted(tasks)})
        others = tasks - {row["last_task"] for row in last}
        if others:
            message = f"an event of a whole session stands at its last task, and {min(others)!r} is not the last one"
            raise Problem(422, "not_the_last_task", message, "label the last task of the session")


def unknown_event(name: str) -> Problem:
    """Return the refusal of an event that nobody has defined."""
    return Problem(422, "unknown_event", f"there is no event {name!r} in this project", "define it first")


def author(visitor: Visitor) -> str:
    """Return who a label, a flag or a note is by."""
    return visitor.name or "api key"
