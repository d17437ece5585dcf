"""From one event, as a client sent it, to a message of `phospho.raw-logs`. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Literal, NamedTuple

import orjson

from phospho_gateway.access.access import project_of
from phospho_gateway.intake import fields
from phospho_gateway.intake.masking import Masks, no_mask
from phospho_gateway.intake.receipts import Item, Receipt
from phospho_gateway.intake.whole_logs import head_of, part_messages, whole_log_id
from phospho_schemas.ids import (
    MAX_OBSERVED_REVISION,
    HybridClock,
    derived_uuid,
    message_key,
    revision_counter,
    revision_ms,
    session_id_of_task,
)
from phospho_schemas.messages import MAX_NESTING_LEVELS, SCHEMA_VERSION, RawLog
from phospho_schemas.metadata import MAX_METADATA_KEYS, has_too_many_keys
from phospho_schemas.shapes.masking import masked_log
from phospho_schemas.times import time_text, utc_text
from phospho_schemas.topics import RAW_LOGS, Keyed
from phospho_web.problems import Problem, invalid
from phospho_web.requests import json_type

Source = Literal["api_v1", "batch", "v2", "v3", "change", "feedback", "otlp", "step"]

# Fields that the gateway sets; a client's own key of such a name becomes metadata.
_GATEWAY_FIELDS = ("schema_version", "kind", "received_at", "revision", "source", "whole_log_id")
_IDENTIFIERS = ("session_id", "task_id", "user_id", "version_id")
_TEXTS = ("raw_input_type_name", "raw_output_type_name", "system_prompt")
# Key, headers and framing of a record beside its value.
_RECORD_OVERHEAD_BYTES = 16_384
_MAX_LINE_BYTES = RAW_LOGS.max_message_bytes - _RECORD_OVERHEAD_BYTES
# orjson writes 254 levels and no more: lists around a message leave it the rest.
_SPARE_LEVELS = 254 - MAX_NESTING_LEVELS


@dataclass(frozen=True)
class Envelope:
    """The part of a request that all its events share. `project_id` is None where each event has to name its own."""

    project_id: str | None
    source: Source
    received_at: datetime
    idempotency_key: str = ""
    receipt: Receipt = field(default_factory=Receipt)

    @cached_property
    def received_text(self) -> str:
        """`received_at` as it is written in every message of the request."""
        return utc_text(self.received_at)


class Rewrite(NamedTuple):
    """
    The revision of an event that logs a stored task again, with a change in it.

    It comes right after the revision of the row that was read, so that whatever was logged since wins.
    """

    revision: int
    source: str
    whole_log_id: str = ""


class AcceptedEvent(NamedTuple):
    """An event to publish, and the fields of its receipt. The `parts` of a large event are published before it."""

    keyed: Keyed
    project_id: str
    task_id: str
    session_id: str
    created_at: str
    revision: int
    parts: tuple[Keyed, ...] = ()

    @property
    def item(self) -> Item:
        return Item("task", self.task_id, self.revision)


class EventReader:
    """
    Reads events. `process_name` is unique among all gateways; ids of events without one derive from it.

    With an Idempotency-Key, an id derives from project, key and index, so a request that is sent again names the same
    tasks. Without one, nothing tells a retry from a new request: the id derives from project, process and revision and
    is new for each request. It stands in the message from then on, and no replay of the topic changes it. Tasks of one
    millisecond sort by revision, or by index.
    """

    def __init__(self, clock: HybridClock, process_name: str, masks: Masks = no_mask) -> None:
        self._clock = clock
        self._masks = masks
        self._process_name = process_name

    def read(self, event: Any, envelope: Envelope, index: int, rewrite: Rewrite | None = None) -> AcceptedEvent:
        """Return the message of one event, leaving `event` as it is. Raises Problem: 403, 413 or 422."""
        message = _copy(event)
        project_id = project_of(message, envelope.project_id)
        if mask := self._masks(project_id):
            message = masked_log(message, mask)
        task_id, session_id = _checked(message)
        revision, source, _ = rewrite or (self._clock.next(), envelope.source, "")
        task_id = task_id or self._derived_id(project_id, envelope, revision, index)
        message |= {
            "schema_version": SCHEMA_VERSION,
            "kind": "log",
            "project_id": project_id,
            "task_id": task_id,
            "received_at": envelope.received_text if rewrite is None else _not_before(envelope, revision),
            "revision": revision,
            "source": source,
        }
        if rewrite is not None and rewrite.whole_log_id:
            message["whole_log_id"] = rewrite.whole_log_id
        line = _line(message)
        _check_keys(line, message)
        key, created_at = message_key(project_id, session_id, task_id), fields.created_at(message, envelope.received_at)
        parts: tuple[Keyed, ...] = ()
        if len(line) > _MAX_LINE_BYTES:
            message, parts = _divided(message, key, created_at)
            line = encoded(message)
        return AcceptedEvent(
            keyed=Keyed(key, line),
            project_id=project_id,
            task_id=task_id,
            session_id=session_id or session_id_of_task(task_id),
            created_at=utc_text(created_at),
            revision=revision,
            parts=parts,
        )

    def _derived_id(self, project_id: str, envelope: Envelope, revision: int, index: int) -> str:
        if envelope.idempotency_key:
            # Without a time: the request that is sent again later has to get the same id.
            return derived_uuid(0, project_id, envelope.idempotency_key, str(index), order=index)
        order = revision_counter(revision)
        return derived_uuid(revision_ms(revision), project_id, self._process_name, str(revision), order=order)


def _not_before(envelope: Envelope, revision: int) -> str:
    """Return the time of arrival, no earlier than a revision: extraction believes no revision far after it."""
    return max(envelope.received_text, time_text(revision_ms(min(revision, MAX_OBSERVED_REVISION))))


def encoded(message: dict[str, Any]) -> bytes:
    """Return a message as one JSON line. Raises Problem: 422 where it is too deep, 413 where it is too large."""
    line = _line(message)
    if len(line) > _MAX_LINE_BYTES:
        raise Problem(
            413,
            "event_too_large",
            f"the event takes {len(line)} bytes",
            "log less of it: one event is one message",
        )
    return line


def _line(message: dict[str, Any]) -> bytes:
    try:
        line = orjson.dumps(message, default=_refuse_number)
        # No message nests deeper than it has brackets; few have so many.
        if line.count(b"[") + line.count(b"{") > MAX_NESTING_LEVELS:
            orjson.dumps(_deeper(message))
    except orjson.JSONEncodeError as error:
        if isinstance(error.__cause__, Problem):
            raise error.__cause__ from None
        raise invalid(
            "too_deep",
            "the event nests too many lists and objects",
            f"log at most {MAX_NESTING_LEVELS} levels, or the text of them",
        ) from None
    return line


def _divided(message: dict[str, Any], key: bytes, created_at: datetime) -> tuple[dict[str, Any], tuple[Keyed, ...]]:
    """Return the head of a large event, and the parts of all that its client logged."""
    log = {name: value for name, value in message.items() if name not in _GATEWAY_FIELDS}
    line = orjson.dumps(log)
    stamp = {name: message[name] for name in ("schema_version", "project_id", "task_id", "received_at", "revision")}
    stamp |= {"whole_log_id": whole_log_id(line), "created_at": utc_text(created_at)}
    head = head_of(log) | {name: message[name] for name in _GATEWAY_FIELDS if name in message}
    return head | {"whole_log_id": stamp["whole_log_id"]}, part_messages(line, key, stamp)


def _refuse_number(_: Any) -> Any:
    raise invalid(
        "invalid_number",
        "the event holds NaN, an infinity, or a number beyond the range of a double",
        "send null, or the number as text",
    )


def _check_keys(line: bytes, message: dict[str, Any]) -> None:
    """Raise Problem (422) for an event with more keys in its metadata, and beside its fields, than a task may have."""

    def metadata() -> list[Any]:
        """Return what becomes metadata: the field, and the fields that no task has."""
        unknown = {name: value for name, value in message.items() if name not in RawLog.model_fields}
        return [unknown, message.get("metadata")]

    if has_too_many_keys(line, metadata):
        raise invalid(
            "too_many_keys",
            f"the metadata has more than {MAX_METADATA_KEYS} keys",
            f"log at most {MAX_METADATA_KEYS} keys at all levels, or the text of them",
        )


def check_retention(event: AcceptedEvent, envelope: Envelope, retention_days: int) -> None:
    """Raise Problem (422) for a task that retention would delete within the hour; 0 days keep all."""
    if retention_days and event.created_at < utc_text(envelope.received_at - timedelta(days=retention_days)):
        raise invalid(
            "expired",
            f"the task is older than the {retention_days} days that the project {event.project_id} keeps",
            "log newer tasks, or raise the project's retention first",
        )


def single_event(event: dict[str, Any]) -> dict[str, Any]:
    """Return the event of `POST /api/v1/events`. Raises Problem (422) if it has no output, in either form."""
    if event.get("output") is None and event.get("raw_output") is None:
        raise invalid("missing_output", "output is missing", "send output: a string, an object or a list")
    return event


def _copy(event: Any) -> dict[str, Any]:
    if type(event) is not dict:
        raise invalid("invalid_type", f"the event is {json_type(event)}", "an event is an object")
    message = event.copy()
    for name in _GATEWAY_FIELDS:
        if name in message:
            _into_metadata(message, name)
    return message


def _into_metadata(message: dict[str, Any], name: str) -> None:
    fields.check_metadata(message)
    value = message.pop(name)
    message["metadata"] = {name: value} | message.get("metadata", {})


def _checked(message: dict[str, Any]) -> tuple[str, str]:
    """Check every field in place; return task id and session id as the client gave them."""
    if message.get("input") is None:
        raise invalid("missing_input", "input is missing", "send input: a string, an object or a list")
    fields.check_content(message, "input")
    fields.check_content(message, "output")
    session_id, task_id, _, _ = [fields.check_identifier(message, name) for name in _IDENTIFIERS]
    for name in _TEXTS:
        fields.check_text(message, name)
    fields.check_flag(message)
    fields.check_metadata(message)
    fields.check_times(message)
    return _task_id_or_alias(message, task_id), session_id


def _task_id_or_alias(message: dict[str, Any], task_id: str) -> str:
    """Return the task id, which may come as `event_id`; beside a different task_id, event_id becomes metadata."""
    if "event_id" not in message:
        return task_id
    if not task_id:
        task_id = fields.check_identifier(message, "event_id")
        message.pop("event_id", None)
    elif message["event_id"] == task_id:
        del message["event_id"]
    else:
        _into_metadata(message, "event_id")
    return task_id


def _deeper(message: dict[str, Any]) -> Any:
    wrapped: Any = message
    for _ in range(_SPARE_LEVELS):
        wrapped = [wrapped]
    return wrapped
