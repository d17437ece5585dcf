"""Labels, which confirm or reject an event, and notes on tasks."""

from __future__ import annotations

from collections.abc import Sequence

from phospho_schemas.ids import event_id
from phospho_schemas.rows.annotations import Label, Note
from phospho_store.repository import Repository


class LabelRepository(Repository):
    """Labels and notes. The last write wins."""

    def save_labels(self, labels: Sequence[Label]) -> list[Label]:
        """Store labels, all or none, and return them as they are stored: with their event's id and a revision."""
        if not labels:
            return []
        return self._save("label_rows", [_of_event(label) for label in labels], self.revision())

    def labels(self, project_id: str, event_name: str) -> list[Label]:
        """Return the labels of one definition, those taken back left out, in the order of their tasks' ids."""
        rest = "WHERE project_id = {project:String} AND event_name = {name:String} AND label != '' ORDER BY task_id"
        return self._read(Label, "label_rows", rest, project=project_id, name=event_name)

    def revision(self) -> int:
        """Return a number that rises whenever a label changes: a cheap question to ask often."""
        return self._greatest_revision("label_rows")

    def save_note(self, note: Note) -> Note:
        """Store a note; one with the id of another replaces it, whichever process's clock is behind."""
        return self._save_one("note_rows", note, self._revision_of_note(note))

    def last_feedback(self, project_id: str, task_id: str) -> int:
        """Return the greatest revision of a task's feedback, which a person's flag comes after; 0 without any."""
        rows = self._store.rows(
            "SELECT max(revision) AS revision FROM feedback_rows"
            " WHERE project_id = {project:String} AND task_id = {task:String}",
            {"project": project_id, "task": task_id},
        )
        return int(rows[0]["revision"])

    def notes(self, project_id: str, task_ids: Sequence[str]) -> list[Note]:
        """Return the notes of these tasks, the oldest first."""
        rest = (
            "WHERE project_id = {project:String} AND task_id IN {tasks:Array(String)} AND NOT is_deleted"
            " ORDER BY created_at, note_id"
        )
        return self._read(Note, "note_rows", rest, project=project_id, tasks=list(task_ids))

    def _revision_of_note(self, note: Note) -> int:
        rows = self._store.rows(
            "SELECT max(revision) AS revision FROM note_rows"
            " WHERE project_id = {project:String} AND task_id = {task:String} AND note_id = {note:String}",
            {"project": note.project_id, "task": note.task_id, "note": note.note_id},
        )
        return int(rows[0]["revision"])


def _of_event(label: Label) -> Label:
    return label.model_copy(update={"event_id": event_id(label.project_id, label.task_id, label.event_name)})
