"""
From a wish to change a stored task to what is logged for it: pure.

Nothing is changed in place. A task's metadata changes when the task is logged again, whole, as it is stored, with the
revision right after the stored one: a log that was accepted since, landed or not, wins over the change. Feedback is a
fact of its own. Both go the way of every log, so that a replay changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson

from phospho_gateway.legacy.documents import COLUMNS_IN_METADATA, metadata_of, notes_of
from phospho_gateway.legacy.reads.task_reads import Row, StoredTask
from phospho_schemas.times import utc_text
from phospho_web.problems import invalid


@dataclass(frozen=True)
class Change:
    """
    What is to become of a task; None and empty leave it as it is.

    `metadata` is laid over what there is, key by key. `made_at_s` is when the feedback was given, in Unix seconds.
    """

    metadata: Row = field(default_factory=dict)
    flag: str | None = None
    notes: str | None = None
    source: str | None = None
    made_at_s: float | None = None


class Changed(NamedTuple):
    """The row of a task as it will be, and what has to be logged for that: an event, a feedback, both or neither."""

    row: Row
    event: Row | None
    feedback: Row | None


def changed(task: StoredTask, change: Change) -> Changed:
    """Return what `change` makes of a task. What is so already is not logged again. Raises Problem (422)."""
    flag = change.flag or (task.flag if change.notes is not None else "")
    metadata = dict(change.metadata)
    if change.notes is not None and not flag:
        # A comment belongs to feedback; where there is none, the notes are kept with the task.
        metadata["notes"] = change.notes
    row = _with_metadata(task.row, metadata)
    event = None if row == task.row else as_logged(task.project_id, row)
    feedback = _feedback(task, change, flag) if flag and not _says_already(task, change, flag) else None
    return Changed(row, event, feedback)


def as_logged(project_id: str, row: Row) -> Row:
    """Return the event that, logged, gives the row of a task again."""
    created_at = utc_text(datetime.fromtimestamp(row["created_at_ms"] / 1000, UTC))
    event = {name: row[name] for name in ("task_id", "session_id", "input", "output", "metadata")}
    event |= {name: row[name] for name in (*COLUMNS_IN_METADATA, "flag") if row[name]}
    event |= {name: orjson.loads(row[name]) for name in ("raw_input", "raw_output") if row[name]}
    return event | {"project_id": project_id, "created_at": created_at}


def _with_metadata(row: Row, metadata: Row) -> Row:
    shown = metadata_of(row)
    new = {name: value for name, value in metadata.items() if name not in shown or shown[name] != value}
    columns = {name: _text(name, new.pop(name)) for name in COLUMNS_IN_METADATA if name in new}
    kept = {name: value for name, value in row["metadata"].items() if name not in columns}
    return row | columns | {"metadata": kept | new}


def _text(name: str, value: Any) -> str:
    if type(value) is not str:
        raise invalid("invalid_type", f"{name} in the metadata is not a string", f"{name} must be a string")
    return value


def _says_already(task: StoredTask, change: Change, flag: str) -> bool:
    if task.flag != flag:
        return False
    has_source = change.source is None or (bool(task.feedback) and task.feedback[-1]["source"] == change.source)
    return has_source and change.notes in (None, notes_of(task))


def _feedback(task: StoredTask, change: Change, flag: str) -> Row:
    feedback = {"flag": flag, "notes": change.notes, "source": change.source, "client_created_at": change.made_at_s}
    return {"project_id": task.project_id} | {name: value for name, value in feedback.items() if value is not None}
