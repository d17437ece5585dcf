"""From a change of a stored task to messages of `phospho.raw-logs`."""

from __future__ import annotations

import dataclasses
from datetime import datetime

from phospho_gateway.intake.events import Envelope, Rewrite
from phospho_gateway.intake.feedback import AcceptedFeedback
from phospho_gateway.intake.intake import Intake
from phospho_gateway.legacy.reads.task_reads import Row, StoredTask
from phospho_gateway.legacy.writes.changes import Change, changed
from phospho_schemas.records import Keyed


def applied(intake: Intake, task: StoredTask, change: Change, envelope: Envelope) -> tuple[list[Keyed], StoredTask]:
    """Return the messages that a change needs, and the task as it will be. Raises Problem (413, 422)."""
    row, event, new_feedback = changed(task, change)
    messages, feedback = [], task.feedback
    if event is not None:
        rewrite = Rewrite(task.row["revision"] + 1, task.row["source"])
        messages.append(intake.read_rewrite(event, envelope, rewrite).keyed)
    if new_feedback is not None:
        accepted = intake.read_feedback(row["task_id"], new_feedback, envelope)
        messages.append(accepted.keyed)
        feedback = [*feedback, _feedback_row(accepted)]
    return messages, dataclasses.replace(task, row=row, feedback=feedback)


def _feedback_row(accepted: AcceptedFeedback) -> Row:
    """Return feedback that was accepted as the row that it will be."""
    return {
        "task_id": accepted.task_id,
        "feedback_id": accepted.feedback_id,
        "flag": accepted.flag,
        "comment": accepted.comment,
        "source": accepted.source,
        "created_at_ms": int(datetime.fromisoformat(accepted.created_at).timestamp() * 1000),
    }
