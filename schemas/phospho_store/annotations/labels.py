"""Labels, which confirm or reject an event, and notes on tasks."""

from __future__ import annotations

from collections.abc import Sequence

from phospho_schemas.ids import HybridClock, event_id
from phospho_schemas.messages import Label, Message, Note
from phospho_store.store import Store, json_lines, parsed_rows


class LabelRepository:
    """Reads and writes of labels and notes. Blocking; raises what the store raises. The last write wins."""

    def __init__(self, store: Store, clock: HybridClock | None = None) -> None:
        self._store = store
        self._clock = clock or HybridClock()

    def save_labels(self, labels: Sequence[Label]) -> list[Label]:
        """Store labels, all or none, and return them as they are stored: with their event's id and a revision."""
        if not labels:
            return []
        self._clock.observe(self.revision())
        saved = [self._stamped(label) for label in labels]
        self._insert("label_rows", saved)
        return saved

    def labels(self, project_id: str, event_name: str) -> list[Label]:
        """Return the labels of one definition, those taken back left out, in the order of their tasks' ids."""
        rows = self._store.rows(
            "SELECT * EXCEPT schema_version FROM label_rows FINAL"
            " WHERE project_id = {project:String} AND event_name = {name:String} AND label != '' ORDER BY task_id",
            {"project": project_id, "name": event_name},
        )
        return parsed_rows(Label, rows)

    def revision(self) -> int:
        """Return a number that rises whenever a label changes: a cheap question to ask often."""
        return int(self._store.rows("SELECT max(revision) AS revision FROM label_rows")[0]["revision"])

    def save_note(self, note: Note) -> Note:
        """Store a note; one with the id of another replaces it, whichever process's clock is behind."""
        self._clock.observe(self._revision_of_note(note))
        saved = note.model_copy(update={"revision": self._clock.next()})
        self._insert("note_rows", [saved])
        return saved

    def notes(self, project_id: str, task_ids: Sequence[str]) -> list[Note]:
        """Return the notes of these tasks, the oldest first."""
        rows = self._store.rows(
            "SELECT * EXCEPT schema_version FROM note_rows FINAL WHERE project_id = {project:String}"
            " AND task_id IN {tasks:Array(String)} AND NOT is_deleted ORDER BY created_at, note_id",
            {"project": project_id, "tasks": list(task_ids)},
        )
        return parsed_rows(Note, rows)

    def _revision_of_note(self, note: Note) -> int:
        rows = self._store.rows(
            "SELECT max(revision) AS revision FROM note_rows"
            " WHERE project_id = {project:String} AND task_id = {task:String} AND note_id = {note:String}",
            {"project": note.project_id, "task": note.task_id, "note": note.note_id},
        )
        return int(rows[0]["revision"])

    def _stamped(self, label: Label) -> Label:
        identity = event_id(label.project_id, label.task_id, label.event_name)
        return label.model_copy(update={"event_id": identity, "revision": self._clock.next()})

    def _insert(self, table: str, rows: Sequence[Message]) -> None:
        self._store.insert(table, json_lines(rows))
