"""Conversion of a raw log to a row of `task_rows`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from phospho_schemas.ids import derived_uuid, session_id_of_task
from phospho_schemas.messages import SCHEMA_VERSION
from phospho_schemas.shapes.answers import output_text
from phospho_schemas.shapes.figures import Usage, count, duration, model_name, usage
from phospho_schemas.shapes.media import described
from phospho_schemas.shapes.requests import input_text, system_prompt
from phospho_schemas.times import time_text
from phospho_store.exact_json import has_large_number
from phospho_workers.extraction.metadata import metadata_columns, task_metadata
from phospho_workers.extraction.raw_log import MAX_ID_CHARACTERS, RawLog, text_or_empty
from phospho_workers.runtime.json_bytes import decode_exactly, encode
from phospho_workers.runtime.records import Record, Rejected

_NO_USAGE = Usage()
# Beyond 64 bits, an integer has at least as many digits.
_LONG_INTEGER = re.compile(rb"[0-9]{19}")


def task_row(log: RawLog) -> dict[str, Any]:
    """Return the row of `task_rows`. Raises Rejected."""
    if log.fields.get("input") is None:
        raise Rejected("invalid_field", "input: text, or an object that holds it, is needed")
    project_id = log.project_id
    task_id = log.identifier("task_id") or log.identifier("event_id") or _derived_task_id(log.record, project_id)
    arrived_ms = log.arrived_ms
    created_ms, implausible_time = log.created(arrived_ms)
    metadata = task_metadata(log.fields, implausible_time)
    raw_input, raw_output = _raw(log.fields, "input"), _raw(log.fields, "output")
    content = _content(log.fields, raw_input, raw_output)
    is_text = isinstance(raw_input, str) and (raw_output is None or isinstance(raw_output, str))
    if not is_text and _LONG_INTEGER.search(log.record.value) and has_large_number([raw_input, raw_output]):
        exact = decode_exactly(log.record.value)
        raw_input, raw_output = _raw(exact, "input"), _raw(exact, "output")
    latency_ms = duration(metadata.get("latency_ms", metadata.get("latencyMs")))
    return {
        "schema_version": SCHEMA_VERSION,
        "project_id": project_id,
        "task_id": task_id,
        "revision": log.revision,
        "session_id": log.identifier("session_id") or session_id_of_task(task_id),
        "user_id": log.identifier("user_id") or _short_text(metadata.get("user_id")),
        "version_id": log.identifier("version_id") or _short_text(metadata.get("version_id")),
        "created_at": time_text(created_ms),
        "received_at": time_text(arrived_ms),
        "input": content.input,
        "output": content.output,
        "system_prompt": log.text("system_prompt") or content.system_prompt,
        "flag": log.flag,
        "model": log.text("model") or text_or_empty(metadata.get("model")) or content.model,
        "tokens_in": _count_or(content.usage.tokens_in, metadata, "tokens_in", "prompt_tokens"),
        "tokens_out": _count_or(content.usage.tokens_out, metadata, "tokens_out", "completion_tokens"),
        "latency_ms": latency_ms if latency_ms is not None else content.usage.latency_ms,
        **metadata_columns(metadata, implausible_time, log.record.value),
        "raw_input": "" if isinstance(raw_input, str) else _json_text(raw_input),
        "raw_output": "" if raw_output is None or isinstance(raw_output, str) else _json_text(raw_output),
        "source": log.text("source") or "kafka",
        "whole_log_id": log.identifier("whole_log_id"),
    }


@dataclass(frozen=True, slots=True)
class _Content:
    """The text and figures of a task's input and output."""

    input: str
    output: str
    system_prompt: str = ""
    model: str = ""
    usage: Usage = _NO_USAGE


def _content(fields: Mapping[str, Any], raw_input: Any, raw_output: Any) -> _Content:
    """Read input and output. Most are plain text, which needs no further reading."""
    given_input = described(fields["input"])
    given_output = raw_output if fields.get("output") is None else described(fields["output"])
    if raw_input is given_input and raw_output is given_output and isinstance(given_input, str):
        if given_output is None:
            return _Content(given_input, "")
        if isinstance(given_output, str):
            return _Content(given_input, given_output)
    return _Content(
        input=_text(input_text(given_input), given_input),
        output=_text(output_text(_joined_chunks(given_output)), given_output),
        system_prompt=system_prompt(raw_input) or system_prompt(given_input),
        model=model_name(raw_output, raw_input),
        usage=usage(raw_output),
    )


def _derived_task_id(record: Record, project_id: str) -> str:
    """Return a task id that derives from the position and content of the message, so that a replay derives it again."""
    position = (record.topic, str(record.partition), str(record.offset))
    return derived_uuid(record.timestamp_ms, project_id, *position, record.value)


def _raw(fields: Mapping[str, Any], side: str) -> Any:
    raw = fields.get(f"raw_{side}")
    return described(raw if raw is not None else fields.get(side))


def _joined_chunks(output: Any) -> Any:
    """Return chunks of text as the text. The SDKs join chunks themselves, and to them a list of texts is a list."""
    is_text = isinstance(output, list) and output and all(isinstance(chunk, str) for chunk in output)
    return "".join(output) if is_text else output


def _text(text: str | None, value: Any) -> str:
    """Return the text that was read from a value, or the value as JSON where none was; nothing of nothing."""
    if text is not None:
        return text
    return "" if value is None else _json_text(value)


def _json_text(value: Any) -> str:
    """Return a value that was read from JSON as JSON text. Raises Rejected where it is nested too deep to write."""
    return encode(value).decode()


def _count_or(default: int | None, metadata: Mapping[str, Any], *names: str) -> int | None:
    return next((tokens for name in names if (tokens := count(metadata.get(name))) is not None), default)


def _short_text(value: Any) -> str:
    """Return an id from the metadata; empty where the text is too long for an id."""
    text = text_or_empty(value)
    return text if len(text) <= MAX_ID_CHARACTERS else ""
