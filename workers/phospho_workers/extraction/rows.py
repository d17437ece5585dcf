"""One raw log becomes one row: a task, or a person's feedback on one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from phospho_schemas.ids import broker_revision, derived_id, derived_uuid, newest_revision, session_id_of_task
from phospho_schemas.messages import SCHEMA_VERSION
from phospho_schemas.times import time_text
from phospho_workers.extraction import fields, shapes
from phospho_workers.runtime.records import Record, Unreadable

# The keys of a raw log that have a column or are part of the envelope; any other becomes metadata.
_KNOWN_KEYS = frozenset(
    {
        "schema_version", "kind", "project_id", "input", "output", "session_id", "task_id", "event_id", "user_id",
        "version_id", "client_created_at", "created_at", "last_update", "raw_input", "raw_output",
        "raw_input_type_name", "raw_output_type_name", "system_prompt", "flag", "metadata", "received_at",
        "revision", "source", "model",
    }
)  # fmt: skip
_MAX_REVISION = 2**64 - 1
_CONTAINERS = (list, dict)
_MAX_SPARSE_LIST_LEVELS = 2


def task_row(log: Mapping[str, Any], record: Record) -> dict[str, Any]:
    """Return the row of `task_rows` for a raw log. Raises Unreadable."""
    if log.get("input") is None:
        raise Unreadable("invalid_field", "input: text, or an object that holds it, is needed")
    project_id = fields.project_of(log)
    task_id = fields.identifier(log, "task_id") or fields.identifier(log, "event_id") or _placed_id(record, project_id)
    arrived_ms = fields.received_ms(log, record.timestamp_ms)
    created_ms, absurd_time = fields.created_ms(log, arrived_ms)
    metadata = _metadata(log, absurd_time)
    raw_input, raw_output = _raw(log, "input"), _raw(log, "output")
    said = _said(log, raw_input, raw_output)
    return {
        "schema_version": SCHEMA_VERSION,
        "project_id": project_id,
        "task_id": task_id,
        "revision": _revision(log, record),
        "session_id": fields.identifier(log, "session_id") or session_id_of_task(task_id),
        "user_id": fields.identifier(log, "user_id") or _id_text(metadata.get("user_id")),
        "version_id": fields.identifier(log, "version_id") or _id_text(metadata.get("version_id")),
        "created_at": time_text(created_ms),
        "received_at": time_text(arrived_ms),
        "input": said.input,
        "output": said.output,
        "system_prompt": _text(log.get("system_prompt")) or said.system_prompt,
        "flag": fields.flag(log),
        "model": _text(log.get("model")) or _text(metadata.get("model")) or said.model,
        "tokens_in": _first_count(metadata, ("tokens_in", "prompt_tokens"), said.usage.tokens_in),
        "tokens_out": _first_count(metadata, ("tokens_out", "completion_tokens"), said.usage.tokens_out),
        "latency_ms": _latency(metadata, said.usage.latency_ms),
        "metadata": metadata,
        "raw_input": "" if isinstance(raw_input, str) else shapes.json_text(raw_input),
        "raw_output": "" if raw_output is None or isinstance(raw_output, str) else shapes.json_text(raw_output),
        "source": _text(log.get("source")) or "kafka",
    }


def feedback_row(log: Mapping[str, Any], record: Record) -> dict[str, Any]:
    """
    Return the row of `feedback_rows` for a person's verdict. Raises Unreadable.

    Without an id of its own it is known by what it says: the same verdict posted twice is one fact.
    """
    project_id, task_id = fields.project_of(log), fields.identifier(log, "task_id")
    if not task_id:
        raise Unreadable("invalid_field", "task_id: the task that the feedback is about is needed")
    flag = fields.flag(log) or _flag_of_score(log.get("score"))
    source, comment = _text(log.get("source")) or "user", _text(log.get("comment"))
    arrived_ms = fields.received_ms(log, record.timestamp_ms)
    created_ms, _ = fields.created_ms(log, arrived_ms)
    feedback_id = fields.identifier(log, "feedback_id")
    return {
        "schema_version": SCHEMA_VERSION,
        "project_id": project_id,
        "task_id": task_id,
        "feedback_id": feedback_id or derived_id("feedback", project_id, task_id, source, flag, comment),
        "revision": _revision(log, record),
        "flag": flag,
        "score": int(flag == "success"),
        "comment": comment,
        "source": source,
        "created_at": time_text(created_ms),
        "received_at": time_text(arrived_ms),
    }


@dataclass(frozen=True, slots=True)
class _Said:
    """What a log's two sides say, in text and in figures."""

    input: str
    output: str
    system_prompt: str = ""
    model: str = ""
    usage: shapes.Usage = shapes.NO_USAGE


def _said(log: Mapping[str, Any], raw_input: Any, raw_output: Any) -> _Said:
    """Read the sides of a log; most are plain text, which needs no reading."""
    given_input, given_output = log["input"], log.get("output")
    if raw_input is given_input and raw_output is given_output and isinstance(given_input, str):
        if given_output is None:
            return _Said(given_input, "")
        if isinstance(given_output, str):
            return _Said(given_input, given_output)
    return _Said(
        shapes.input_text(given_input),
        shapes.output_text(given_output),
        shapes.system_prompt(raw_input) or shapes.system_prompt(given_input),
        shapes.model_name(raw_output, raw_input),
        shapes.usage(raw_output),
    )


def _placed_id(record: Record, project_id: str) -> str:
    """Return the id of a task whose client gave none: it follows from the place and the content of the message."""
    place = (record.topic, str(record.partition), str(record.offset))
    return derived_uuid(record.timestamp_ms, project_id, *place, record.value)


def _revision(log: Mapping[str, Any], record: Record) -> int:
    """Return the gateway's revision; one that no gateway can have drawn, by the broker's clock, is not its."""
    revision = log.get("revision")
    newest = newest_revision(record.timestamp_ms) if record.timestamp_ms > 0 else _MAX_REVISION
    if isinstance(revision, int) and not isinstance(revision, bool) and 0 < revision <= newest:
        return revision
    return broker_revision(record.timestamp_ms, record.offset)


def _metadata(log: Mapping[str, Any], absurd_time: Any) -> dict[str, Any]:
    given = log.get("metadata") or {}
    metadata = dict(given) if isinstance(given, dict) else {"metadata": given}
    for key, value in log.items():
        if key not in _KNOWN_KEYS and value is not None:
            metadata.setdefault(key, value)
    if absurd_time is not None:
        metadata["client_created_at"] = absurd_time
    return {key: _storable(value) if type(value) in _CONTAINERS else value for key, value in metadata.items()}


def _storable(value: Any) -> Any:
    """
    Return a list or an object with JSON text for each list that ClickHouse can't read in a bounded time.

    These are lists within lists within lists that have nulls or empty lists in them: ClickHouse 26.9 compares types
    in a time that grows by a factor with each level (24 levels of `[[..., null], null]` took 5 s, three levels with
    1,000 nulls each 54 s and all memory). Nobody's rows are stored meanwhile.
    """
    if type(value) is dict:
        return {key: _storable(part) if type(part) in _CONTAINERS else part for key, part in value.items()}
    levels = _list_levels(value)
    if levels > 1 and None in value and {type(part) for part in value} == {list, type(None)}:
        # As ClickHouse itself stores a null among lists.
        value = [[] if part is None else part for part in value]
    if levels > _MAX_SPARSE_LIST_LEVELS:
        text = shapes.json_text(value)
        if "null" in text or "[]" in text:
            return text
    return [_storable(part) if type(part) in _CONTAINERS else part for part in value]


def _list_levels(value: list[Any]) -> int:
    return 1 + max((_list_levels(part) for part in value if type(part) is list), default=0)


def _raw(log: Mapping[str, Any], side: str) -> Any:
    raw = log.get(f"raw_{side}")
    return raw if raw is not None else log.get(side)


def _first_count(metadata: Mapping[str, Any], names: tuple[str, ...], default: int | None) -> int | None:
    for name in names:
        found = fields.count(metadata.get(name))
        if found is not None:
            return found
    return default


def _latency(metadata: Mapping[str, Any], default: float | None) -> float | None:
    found = fields.duration(metadata.get("latency_ms", metadata.get("latencyMs")))
    return found if found is not None else default


def _flag_of_score(score: Any) -> str:
    if isinstance(score, bool) or score not in (0, 1):
        raise Unreadable("invalid_field", "score: 1 (positive) or 0 (negative) is needed, or a flag")
    return "success" if score else "failure"


def _id_text(value: Any) -> str:
    """Return an id that stands in the metadata; what is too long for one stays there alone."""
    text = _text(value)
    return text if len(text) <= fields.MAX_ID_CHARACTERS else ""


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
