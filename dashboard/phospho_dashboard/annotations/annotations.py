"""Annotations: labels on events, flags and notes that people put on tasks."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import Any

from pydantic import ValidationError

from phospho_dashboard.auth.visitors import Visitor
from phospho_dashboard.services import Services
from phospho_schemas.rows.annotations import Label, Note
from phospho_schemas.times import utc_now
from phospho_schemas.topics import Keyed
from phospho_store.annotations.labels import LabelRepository
from phospho_store.annotations.reviews import ReviewRepository
from phospho_web.problems import Problem, no_publisher, unknown_event, validation_message

# Turn a feedback in the words of the API into its message, for a project and a task. Raises Problem 422.
FeedbackReader = Callable[[str, str, dict[str, Any]], Keyed]

MAX_LABELS = 1000
MAX_NOTE_CHARACTERS = 10_000
# The fields of a label in a request, beside the name of its event.
_LABEL_FIELDS = ("task_id", "label", "value", "category", "comment")

_KNOWN_TASKS = """
SELECT DISTINCT task_id FROM task_rows WHERE project_id = {project:String} AND task_id IN {tasks:Array(String)}
"""
# An event that detection found on a task may be labelled after its definition is deleted.
_KNOWN_EVENTS = """
SELECT name FROM definitions WHERE project_id = {project:String}
UNION DISTINCT
SELECT DISTINCT toString(arrayJoin(events.name)) AS name FROM analysis_rows
WHERE project_id = {project:String} AND task_id IN {tasks:Array(String)}
"""
_SESSION_EVENTS = """
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


class Annotations:
    """Read and write annotations. All but `flag` block; each raises Problem 404 or 422, and what the store raises."""

    def __init__(self, services: Services, read_feedback: FeedbackReader | None = None) -> None:
        self._threads = services.threads
        self._store = services.store
        self._publisher = services.publisher
        self._read_feedback = read_feedback
        self._clock = services.clock
        self._repository = LabelRepository(services.store, services.clock)
        self._reviews = ReviewRepository(services.store, services.clock)

    def save_labels(self, project_id: str, visitor: Visitor, items: Sequence[Any]) -> list[Label]:
        """
        Store labels, all or none: `{"event", "task_id", "label", "value"?, "category"?, "comment"?}` each.

        An empty label takes a label back. A confirmed event that detection did not find is added to its task; one of
        whole sessions stands at the last task of its session, and at no other.
        """
        labels = [self._label(project_id, visitor, item) for item in items]
        task_ids = sorted({label.task_id for label in labels})
        self._check_tasks(project_id, task_ids)
        self._check_events(project_id, task_ids, {label.event_name for label in labels})
        self._check_session_events(project_id, [label for label in labels if label.label == "confirmed"])
        saved = self._repository.save_labels(labels)
        self._reviews.record(saved)
        return saved

    def labels(self, project_id: str, event: str, before: tuple[int, str], limit: int) -> list[dict[str, Any]]:
        """Return the labels of one event, or of all for an empty name, the latest first."""
        cursor = {"before_ms": before[0], "before_id": before[1], "limit": limit}
        return self._store.rows(_LABELS, {"project": project_id, "event": event, **cursor})

    def save_note(self, project_id: str, visitor: Visitor, task_id: str, text: str) -> Note:
        """Write a note on a task."""
        if not text.strip():
            raise Problem(422, "empty_note", "the note is empty")
        self._check_tasks(project_id, [task_id])
        note_id = "note_" + secrets.token_hex(8)
        return self._save_note(visitor, project_id=project_id, task_id=task_id, note_id=note_id, text=text)

    def delete_note(self, project_id: str, visitor: Visitor, task_id: str, note_id: str) -> None:
        """Delete a note; Problem 404 where there is none."""
        if note_id not in {note.note_id for note in self._repository.notes(project_id, [task_id])}:
            raise Problem(404, "unknown_note", f"there is no note {note_id!r} on this task")
        self._save_note(visitor, project_id=project_id, task_id=task_id, note_id=note_id, is_deleted=True)

    async def flag(self, project_id: str, visitor: Visitor, task_id: str, *, flag: str, comment: str) -> None:
        """
        Publish a feedback on a task, on the same path as the API's, and return when it is durable.

        Raises Problem 404, 422, or 503 in a process that can't publish.
        """
        if self._publisher is None or self._read_feedback is None:
            raise no_publisher()
        await self._threads.run(self._check_tasks, project_id, [task_id])
        # The last click wins, also over one at a dashboard whose clock is ahead.
        self._clock.observe(await self._threads.run(self._repository.last_feedback, project_id, task_id))
        body = {"flag": flag, "comment": comment, "source": visitor.author}
        await self._publisher.publish([self._read_feedback(project_id, task_id, body)])

    def _label(self, project_id: str, visitor: Visitor, item: Any) -> Label:
        if not isinstance(item, dict):
            raise Problem(422, "invalid_label", "a label must be an object")
        unknown = sorted(str(name) for name in item if name not in ("event", *_LABEL_FIELDS))
        if unknown:
            hint = f"a label has event, {', '.join(_LABEL_FIELDS)}"
            raise Problem(422, "invalid_label", f"unknown field {unknown[0]!r}", hint)
        fields = {name: item[name] for name in _LABEL_FIELDS if name in item}
        fixed = {"project_id": project_id, "created_by": visitor.author, "created_at": utc_now()}
        try:
            return Label.model_validate({"event_name": item.get("event"), **fields, **fixed})
        except ValidationError as error:
            raise Problem(422, "invalid_label", validation_message(error)) from None

    def _save_note(self, visitor: Visitor, **fields: Any) -> Note:
        try:
            note = Note.model_validate({"text": "", "created_by": visitor.author, "created_at": utc_now(), **fields})
        except ValidationError as error:
            raise Problem(422, "invalid_note", validation_message(error)) from None
        return self._repository.save_note(note)

    def _check_tasks(self, project_id: str, task_ids: Sequence[str]) -> None:
        rows = self._store.rows(_KNOWN_TASKS, {"project": project_id, "tasks": list(task_ids)})
        missing = set(task_ids) - {row["task_id"] for row in rows}
        if missing:
            raise Problem(404, "unknown_task", f"there is no task {min(missing)!r} in this project")

    def _check_events(self, project_id: str, task_ids: list[str], names: set[str]) -> None:
        rows = self._store.rows(_KNOWN_EVENTS, {"project": project_id, "tasks": task_ids})
        unknown = names - {row["name"] for row in rows}
        if unknown:
            raise unknown_event(min(unknown))

    def _check_session_events(self, project_id: str, labels: Sequence[Label]) -> None:
        """Raise Problem 422 for an event of whole sessions on a task that is not the last one of its session."""
        names = sorted({label.event_name for label in labels})
        rows = self._store.rows(_SESSION_EVENTS, {"project": project_id, "names": names}) if names else []
        session_events = {row["name"] for row in rows}
        task_ids = {label.task_id for label in labels if label.event_name in session_events}
        if not task_ids:
            return
        last_tasks = self._store.rows(_LAST_TASKS, {"project": project_id, "tasks": sorted(task_ids)})
        others = task_ids - {row["last_task"] for row in last_tasks}
        if others:
            message = f"an event of a whole session stands at its last task, and {min(others)!r} is not the last one"
            raise Problem(422, "not_the_last_task", message, "label the last task of the session")
