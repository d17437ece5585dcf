"""
Changes of stored tasks, as messages of `phospho.raw-logs`.

Nothing is changed in place. To change its metadata a task is logged again, whole, as it is stored, with the revision
right after the stored one: a log accepted since then, inserted or not, wins over the change. Feedback is a fact of its
own. Both take the way of every log, so a replay changes nothing.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson

from phospho_gateway.intake.events import Envelope, Rewrite
from phospho_gateway.intake.feedback import AcceptedFeedback
from phospho_gateway.intake.intake import Intake
from phospho_gateway.intake.receipts import Accepted
from phospho_gateway.legacy.documents import COLUMNS_IN_METADATA, metadata_of, notes_of
from phospho_gateway.legacy.reads.task_reads import Row, StoredTask
from phospho_schemas.times import utc_text
from phospho_web.problems import invalid


@dataclass(frozen=True)
class Change:
    """
    A change of a task; None and empty leave a field as it is.

    `metadata` is merged into the stored one, key by key. `made_at_s` is the time of the feedback, in Unix seconds.
    """

    metadata: Row = field(default_factory=dict)
    flag: str | None = None
    notes: str | None = None
    source: str | None = None
    made_at_s: float | None = None


class ChangedTask(NamedTuple):
    """The row of a task after a change, and the event and the feedback to log for it, where there are any."""

    row: Row
    event: Row | None
    feedback: Row | None


def logs_of(task: StoredTask, change: Change, intake: Intake, envelope: Envelope) -> tuple[list[Accepted], StoredTask]:
    """Return the logs of a change, and the task after it. Raises Problem (413, 422)."""
    row, event, new_feedback = changed(task, change)
    logs: list[Accepted] = []
    feedback = task.feedback
    if event is not None:
        rewrite = Rewrite(task.row["revision"] + 1, task.row["source"], task.row["whole_log_id"])
        logs.append(intake.read_rewrite(event, envelope, rewrite))
    if new_feedback is not None:
        accepted = intake.read_feedback(row["task_id"], new_feedback, envelope)
        logs.append(accepted)
        feedback = [*feedback, _feedback_row(accepted)]
    return logs, dataclasses.replace(task, row=row, feedback=feedback)


def changed(task: StoredTask, change: Change) -> ChangedTask:
    """Return a task after a change, without an event or feedback that would repeat it. Raises Problem (422)."""
    flag = change.flag or (task.flag if change.notes is not None else "")
    metadata = dict(change.metadata)
    if change.notes is not None and not flag:
        # A comment belongs to feedback; without any, the notes become metadata of the task.
        metadata["notes"] = change.notes
    row = _with_metadata(task.row, metadata)
    event = None if row == task.row else as_logged(task.project_id, row)
    feedback = _feedback(task, change, flag) if flag and not _is_repeated(task, change, flag) else None
    return ChangedTask(row, event, feedback)


def as_logged(project_id: str, row: Row) -> Row:
    """Return the event that gives this row of a task when it is logged."""
    created_at = utc_text(datetime.fromtimestamp(row["created_at_ms"] / 1000, UTC))
    event = {name: row[name] for name in ("task_id", "session_id", "input", "output", "metadata")}
    event |= {name: row[name] for name in (*COLUMNS_IN_METADATA, "flag") if row[name]}
    event |= {name: orjson.loads(row[name]) for name in ("raw_input", "raw_output") if row[name]}
    return event | {"project_id": project_id, "created_at": created_at}


def _with_metadata(row: Row, metadata: Row) -> Row:
    shown = metadata_of(row)
    new = {name: value for name, value in metadata.items() if name not in shown or shown[name] != value}
    columns = {name: _text(name, new.pop(name)) for name in COLUMNS_IN_METADATA if name in new}
    unchanged = {name: value for name, value in row["metadata"].items() if name not in columns}
    return row | columns | {"metadata": unchanged | new}


def _text(name: str, value: Any) -> str:
    if type(value) is not str:
        raise invalid("invalid_type", f"{name} in the metadata is not a string", f"{name} must be a string")
    return value


def _is_repeated(task: StoredTask, change: Change, flag: str) -> bool:
    if task.flag != flag:
        return False
    has_source = change.source is None or (bool(task.feedback) and task.feedback[-1]["source"] == change.source)
    return has_source and change.notes in (None, notes_of(task))


def _feedback(task: StoredTask, change: Change, flag: str) -> Row:
    feedback = {"flag": flag, "notes": change.notes, "source": change.source, "client_created_at": change.made_at_s}
    return {"project_id": task.project_id} | {name: value for name, value in feedback.items() if value is not None}


def _feedback_row(accepted: AcceptedFeedback) -> Row:
    """Return accepted feedback as the row that it will be."""
    return {
        "task_id": accepted.task_id,
        "feedback_id": accepted.feedback_id,
        "flag": accepted.flag,
        "comment": accepted.comment,
        "source": accepted.source,
        "created_at_ms": int(datetime.fromisoformat(accepted.created_at).timestamp() * 1000),
    }
