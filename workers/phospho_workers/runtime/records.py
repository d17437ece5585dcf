"""What a stage gets and gives: records with their place in the log, and messages for topics."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

from phospho_schemas.ids import broker_revision, derived_id
from phospho_schemas.messages import DeadLetterRow
from phospho_schemas.records import Keyed
from phospho_schemas.topics import DEAD_LETTER, RAW_LOGS, Topic

# A raw log of the largest size fits with all its bytes, beside 2 MB for all that is not its payload.
_MAX_PAYLOAD_BYTES = (DEAD_LETTER.max_message_bytes - 2_000_000) // 4 * 3
_MAX_KEY_BYTES = 4_096
_MAX_PROJECT_ID_CHARACTERS = 128
_MAX_HEADERS_BYTES = 65_536
_AROUND_A_HEADER_BYTES = 16


class Record(NamedTuple):
    """One message with its place. Outside Kafka the partition is -1 and the offset is the revision of arrival."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


@dataclass
class Output:
    """What a stage made of a batch: messages by topic, and how many records it could not read, by reason."""

    messages: dict[str, list[Keyed]] = field(default_factory=dict)
    unreadable: dict[str, int] = field(default_factory=dict)

    def add(self, topic: Topic, message: Keyed) -> None:
        """Add a message; raises Unreadable where it is larger than its topic takes."""
        if not topic.fits(*message):
            raise Unreadable("too_large", f"its message for {topic.name} takes {len(message.value)} bytes")
        self.messages.setdefault(topic.name, []).append(message)


class Stage(Protocol):
    """
    A step of the pipeline: pure, batch-shaped, the same in one process and on Kafka.

    It returns the same output for the same records, in any split into batches. It blocks for as long as it
    computes. A record that it can't read becomes a dead letter; it raises only for its own faults.
    """

    name: str

    def __call__(self, batch: Sequence[Record]) -> Output: ...


class Unreadable(Exception):
    """This record can't be read: dead-letter it. `reason` is a code of a bounded set, `detail` is for a person."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def dead_letter(record: Record, stage: str, why: Unreadable, project_id: str = "") -> Keyed:
    """
    Return the dead letter of a record: its bytes as they came, and why. It fits its topic, whatever the record is.

    A raw log is known by its place. A record that one of our own stages wrote is known by its content, since a
    replay of the stage writes it to another place.
    """
    place = (str(record.partition), str(record.offset)) if record.topic == RAW_LOGS.name else (record.value,)
    payload, key, headers = record.value[:_MAX_PAYLOAD_BYTES], record.key[:_MAX_KEY_BYTES], _first_headers(record)
    row = DeadLetterRow(
        dead_letter_id=derived_id(stage, record.topic, *place),
        project_id=project_id if len(project_id) <= _MAX_PROJECT_ID_CHARACTERS else "",
        stage=stage,
        reason=why.reason,
        detail=why.detail[:1000],
        source_topic=record.topic,
        source_partition=record.partition,
        source_offset=record.offset,
        payload_base64=base64.b64encode(payload).decode(),
        payload_bytes=len(record.value),
        is_truncated=(payload, key, headers) != (record.value, record.key, record.headers),
        key_base64=base64.b64encode(key).decode(),
        headers=[(name, base64.b64encode(value).decode()) for name, value in headers],
        received_at=datetime.fromtimestamp(max(record.timestamp_ms, 0) / 1000, UTC),
        revision=broker_revision(record.timestamp_ms, record.offset),
    )
    return Keyed(key, row.model_dump_json().encode("utf-8", "replace"))


def _first_headers(record: Record) -> tuple[tuple[str, bytes], ...]:
    """Return as many headers, from the first on, as there is room for."""
    left_bytes = _MAX_HEADERS_BYTES
    for number, (name, value) in enumerate(record.headers):
        left_bytes -= len(name) + len(value) + _AROUND_A_HEADER_BYTES
        if left_bytes < 0:
            return record.headers[:number]
    return record.headers


def reject(output: Output, record: Record, stage: str, why: Unreadable, project_id: str = "") -> None:
    """Add the dead letter of `record` to the output of a stage, and count it."""
    output.add(DEAD_LETTER, dead_letter(record, stage, why, project_id))
    output.unreadable[why.reason] = output.unreadable.get(why.reason, 0) + 1
