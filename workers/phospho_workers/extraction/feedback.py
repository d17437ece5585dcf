"""Conversion of a raw log of feedback to a row of `feedback_rows`."""

from __future__ import annotations

from typing import Any

from phospho_schemas.ids import derived_id
from phospho_schemas.messages import SCHEMA_VERSION
from phospho_schemas.times import time_text
from phospho_workers.extraction.raw_log import RawLog
from phospho_workers.runtime.records import Rejected


def feedback_row(log: RawLog) -> dict[str, Any]:
    """
    Return the row of `feedback_rows`. Raises Rejected.

    Feedback without an id gets one from its content, so that the same feedback posted twice is one row.
    """
    project_id, task_id = log.project_id, log.identifier("task_id")
    if not task_id:
        raise Rejected("invalid_field", "task_id: the task that the feedback is about is needed")
    flag = log.flag or _flag_of_score(log.fields.get("score"))
    source, comment = log.text("source") or "user", log.text("comment")
    arrived_ms = log.arrived_ms
    created_ms, _ = log.created(arrived_ms)
    feedback_id = log.identifier("feedback_id")
    return {
        "schema_version": SCHEMA_VERSION,
        "project_id": project_id,
        "task_id": task_id,
        "feedback_id": feedback_id or derived_id("feedback", project_id, task_id, source, flag, comment),
        "revision": log.revision,
        "flag": flag,
        "score": int(flag == "success"),
        "comment": comment,
        "source": source,
        "created_at": time_text(created_ms),
        "received_at": time_text(arrived_ms),
    }


def _flag_of_score(score: Any) -> str:
    if isinstance(score, bool) or score not in (0, 1):
        raise Rejected("invalid_field", "score: 1 (positive) or 0 (negative) is needed, or a flag")
    return "success" if score else "failure"
