"""A new task of upstream's `POST /v2/tasks`: as a log, and as the response."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from phospho_gateway.intake.events import AcceptedEvent
from phospho_gateway.legacy.documents import task_document
from phospho_gateway.legacy.reads.task_reads import Row, StoredTask
from phospho_gateway.legacy.typed_fields import object_field, text_field

_SAME_IN_A_LOG = ("task_id", "session_id", "project_id", "flag")
_TEXTS = ("input", "output")
_OBJECTS = ("additional_input", "additional_output", "metadata", "data")
_UNWRITTEN = {"user_id": "", "version_id": "", "model": "", "system_prompt": "", "raw_input": "", "raw_output": ""}


def as_log(body: dict[str, Any]) -> Row:
    """Return a new task as a log; fields that a log doesn't have become metadata. Raises Problem (422)."""
    log: Row = {name: body[name] for name in _SAME_IN_A_LOG if body.get(name) is not None}
    log |= {name: text for name in _TEXTS if (text := text_field(body, name)) is not None}
    objects = {name: value for name in _OBJECTS if (value := object_field(body, name))}
    fields = {*_SAME_IN_A_LOG, *_TEXTS, *_OBJECTS}
    metadata = {name: value for name, value in body.items() if name not in fields and value is not None}
    metadata |= {"data": objects["data"]} if "data" in objects else {}
    raw = {"additional_input": "raw_input", "additional_output": "raw_output"}
    log |= {ours: objects[theirs] for theirs, ours in raw.items() if theirs in objects}
    return log | {"metadata": metadata | objects.get("metadata", {})}


def created_document(log: Row, accepted: AcceptedEvent) -> Row:
    """Return an accepted task as `Task`, as it will be read, without the results of detection."""
    created_at_ms = int(datetime.fromisoformat(accepted.created_at).timestamp() * 1000)
    row = _UNWRITTEN | {
        "task_id": accepted.task_id,
        "session_id": accepted.session_id,
        "created_at_ms": created_at_ms,
        "input": log["input"],
        "output": log.get("output", ""),
        "flag": log.get("flag") or "",
        "metadata": log["metadata"],
    }
    document = task_document(
        StoredTask(accepted.project_id, row, analysis={}, events=[], feedback=[], position=1, session_length=1)
    )
    raw = {"additional_input": log.get("raw_input", {}), "additional_output": log.get("raw_output", {})}
    return document | raw | {"task_position": None, "is_last_task": None}
