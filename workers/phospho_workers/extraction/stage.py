"""The extraction stage: raw logs in; tasks, feedback, steps and parts of large logs out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from phospho_schemas.ids import derived_id, message_key
from phospho_schemas.messages import SCHEMA_VERSION
from phospho_schemas.metadata import MAX_METADATA_KEYS, MAX_ROW_KEYS, has_too_many_keys
from phospho_schemas.times import time_text
from phospho_schemas.topics import FEEDBACK, PARTS, STEPS, TASKS, Keyed, Topic
from phospho_workers.extraction.raw_log import RawLog
from phospho_workers.extraction.task import task_row
from phospho_workers.runtime.dead_letters import reject
from phospho_workers.runtime.json_bytes import decode_object, encode, encode_row
from phospho_workers.runtime.records import Record, Rejected, StageOutput

# Far more than the gateway writes.
_MAX_PARTS = 10_000


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


def step_row(log: RawLog) -> dict[str, Any]:
    """Return the row of `step_rows`: the step as it came, and its identity. Raises Rejected."""
    step = log.fields.get("step")
    if not isinstance(step, Mapping):
        raise Rejected("invalid_field", "step: an object is needed")
    trace_id, span_id = log.identifier("trace_id"), RawLog(step, log.record).identifier("span_id")
    if not trace_id or not span_id:
        raise Rejected("invalid_field", "trace_id, step.span_id: both are needed")
    arrived_ms = log.arrived_ms
    created_ms, _ = RawLog({"created_at": step.get("started_at")}, log.record).created(arrived_ms)
    return {
        "schema_version": SCHEMA_VERSION,
        "project_id": log.project_id,
        "trace_id": trace_id,
        "span_id": span_id,
        "revision": log.revision,
        "step": encode(step).decode(),
        "created_at": time_text(created_ms),
        "received_at": time_text(arrived_ms),
    }


def part_row(log: RawLog) -> dict[str, Any]:
    """Return the row of `log_part_rows`. Raises Rejected."""
    task_id, whole_log_id = log.identifier("task_id"), log.identifier("whole_log_id")
    if not task_id or not whole_log_id:
        raise Rejected("invalid_field", "task_id, whole_log_id: both are needed")
    part, parts = log.fields.get("part"), log.fields.get("parts")
    if type(part) is not int or type(parts) is not int or not 0 <= part < parts <= _MAX_PARTS:
        raise Rejected("invalid_field", f"part, parts: an index and a number of at most {_MAX_PARTS} are needed")
    arrived_ms = log.arrived_ms
    created_ms, _ = log.created(arrived_ms)
    return {
        "schema_version": SCHEMA_VERSION,
        "project_id": log.project_id,
        "task_id": task_id,
        "whole_log_id": whole_log_id,
        "part": part,
        "parts": parts,
        "revision": log.revision,
        "text": log.text("text"),
        "created_at": time_text(created_ms),
        "received_at": time_text(arrived_ms),
    }


_KINDS: Mapping[str, tuple[Topic, Callable[[RawLog], dict[str, Any]]]] = {
    "log": (TASKS, task_row),
    "feedback": (FEEDBACK, feedback_row),
    "step": (STEPS, step_row),
    "part": (PARTS, part_row),
}


class Extraction:
    """Stage that reads raw logs. Its output depends on the records alone."""

    name = "extraction"

    def __call__(self, batch: Sequence[Record]) -> StageOutput:
        output = StageOutput()
        for record in batch:
            self._extract(record, output)
        return output

    def _extract(self, record: Record, output: StageOutput) -> None:
        fields: dict[str, Any] = {}
        try:
            fields = decode_object(record.value)
            topic, row = _row(RawLog(fields, record))
            line = encode_row(row)
            if has_too_many_keys(line, lambda: row.get("metadata"), MAX_ROW_KEYS):
                raise Rejected("too_many_keys", f"the metadata has more than {MAX_METADATA_KEYS} keys")
            output.add(topic, Keyed(_key(row), line))
        except (Rejected, RecursionError) as error:
            rejection = error if isinstance(error, Rejected) else Rejected("too_deep", "the JSON is nested too deep")
            project_id = _project_or_empty(RawLog(fields, record))
            reject(output, record, stage=self.name, rejection=rejection, project_id=project_id)


def _row(log: RawLog) -> tuple[Topic, dict[str, Any]]:
    log.check_version()
    kind = log.kind
    if not isinstance(kind, str) or kind not in _KINDS:
        raise Rejected("unknown_kind", f"kind {str(kind)[:50]!r}: one of {', '.join(_KINDS)} is needed")
    topic, to_row = _KINDS[kind]
    return topic, to_row(log)


def _key(row: Mapping[str, Any]) -> bytes:
    if "trace_id" in row:
        return message_key(row["project_id"], row["trace_id"], "")
    return message_key(row["project_id"], row.get("session_id", ""), row["task_id"])


def _project_or_empty(log: RawLog) -> str:
    try:
        return log.project_id
    except Rejected:
        return ""
