"""Dead letters: records that could not be processed, each with the reason and its original bytes."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal, NamedTuple

import orjson

from phospho_schemas.ids import broker_revision, derived_id
from phospho_schemas.messages import DeadLetterRow
from phospho_schemas.rows.ledger import ItemKind, item_id
from phospho_schemas.topics import DEAD_LETTER, RAW_LOGS, Keyed
from phospho_workers.runtime import metrics
from phospho_workers.runtime.records import Partition, Record, Rejected, StageOutput

# A raw log of the largest size fits with all its bytes, beside 2 MB for all that is not its payload.
_MAX_PAYLOAD_BYTES = (DEAD_LETTER.max_message_bytes - 2_000_000) // 4 * 3
_MAX_KEY_BYTES = 4_096
_MAX_DETAIL_CHARACTERS = 1_000
_MAX_PROJECT_ID_CHARACTERS = 128
_MAX_HEADERS_BYTES = 65_536
_HEADER_OVERHEAD_BYTES = 16

_METADATA_PREFIX = "phospho-dead-letters "


def dead_letter(record: Record, stage: str, rejection: Rejected, project_id: str = "") -> Keyed:
    """
    Return the dead letter of a record. It fits its topic, whatever the record is.

    The id of a raw log's dead letter derives from the position of the log. A record that one of our own stages wrote
    is identified by its content, since a replay of the stage writes it to another position.
    """
    position = (str(record.partition), str(record.offset)) if RAW_LOGS.is_named(record.topic) else (record.value,)
    payload, key, headers = record.value[:_MAX_PAYLOAD_BYTES], record.key[:_MAX_KEY_BYTES], _first_headers(record)
    item = _item(record.value)
    row = DeadLetterRow(
        dead_letter_id=derived_id(stage, record.topic, *position),
        project_id=project_id if len(project_id) <= _MAX_PROJECT_ID_CHARACTERS else "",
        stage=stage,
        reason=rejection.reason,
        detail=rejection.detail[:_MAX_DETAIL_CHARACTERS],
        source_topic=record.topic,
        source_partition=record.partition,
        source_offset=record.offset,
        payload_base64=base64.b64encode(payload).decode(),
        payload_bytes=len(record.value),
        is_truncated=(payload, key, headers) != (record.value, record.key, record.headers),
        key_base64=base64.b64encode(key).decode(),
        headers=[(name, base64.b64encode(value).decode()) for name, value in headers],
        item_kind=item.kind,
        item_id=item.id,
        item_revision=item.revision,
        received_at=datetime.fromtimestamp(max(record.timestamp_ms, 0) / 1000, UTC),
        revision=broker_revision(record.timestamp_ms, record.offset),
    )
    return Keyed(key, row.model_dump_json().encode("utf-8", "replace"))


class _Item(NamedTuple):
    """The identity of the log in a record, as receipts have it; empty where its bytes don't say it."""

    kind: ItemKind | Literal[""] = ""
    id: str = ""
    revision: int = 0


def _item(value: bytes) -> _Item:
    """Return the identity in a raw log of the gateway, or in a row of a stage."""
    try:
        fields = orjson.loads(value)
    except orjson.JSONDecodeError:
        return _Item()
    if not isinstance(fields, dict) or not isinstance(revision := fields.get("revision"), int) or revision < 0:
        return _Item()
    kind: ItemKind = "step" if "trace_id" in fields else "feedback" if "feedback_id" in fields else "task"
    step = fields.get("step")
    span_id = step.get("span_id") if isinstance(step, dict) else fields.get("span_id")
    identity = {
        "task": (fields.get("task_id"),),
        "feedback": (fields.get("task_id"), fields.get("feedback_id")),
        "step": (fields.get("trace_id"), span_id),
    }[kind]
    if not all(isinstance(part, str) and part for part in identity):
        return _Item()
    return _Item(kind, item_id(*map(str, identity)), revision)


def reject(output: StageOutput, record: Record, *, stage: str, rejection: Rejected, project_id: str = "") -> None:
    """Add the dead letter of `record` to the output of a stage."""
    output.add(DEAD_LETTER, dead_letter(record, stage, rejection, project_id))
    output.dead_letters[rejection.reason] += 1
    output.rejected[record.topic, record.partition] += 1


def count_dead_letters(stage: str, output: StageOutput) -> None:
    """Add the dead letters of a stage's output to the metrics, once they are stored."""
    for reason, number in output.dead_letters.items():
        metrics.DEAD_LETTERS.labels(stage, reason).inc(number)


def _first_headers(record: Record) -> tuple[tuple[str, bytes], ...]:
    """Return the first headers of a record, as many as there is room for."""
    left_bytes = _MAX_HEADERS_BYTES
    for number, (name, value) in enumerate(record.headers):
        left_bytes -= len(name) + len(value) + _HEADER_OVERHEAD_BYTES
        if left_bytes < 0:
            return record.headers[:number]
    return record.headers


class DeadLetterLimit:
    """
    Counts rejected records in a row, by partition and batch: a batch with one good record ends the row.

    Beyond the limit the fault is more likely the worker's than the records'. Commits carry the count as metadata, so a
    worker that is restarted again and again does not send a topic to the dead letters piece by piece.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._in_a_row: dict[Partition, int] = {}

    def counts_after(self, records: Sequence[Record], rejected: Mapping[Partition, int]) -> dict[Partition, int]:
        """Return the rejected records in a row of each partition once a batch is done. Changes nothing."""
        of_batch = Counter((record.topic, record.partition) for record in records)
        return {
            partition: self._in_a_row.get(partition, 0) + number if rejected.get(partition, 0) >= number else 0
            for partition, number in of_batch.items()
        }

    def set(self, counts: Mapping[Partition, int]) -> None:
        """Set the counts of partitions whose batch was committed."""
        self._in_a_row.update(counts)

    def resume(self, metadata: Mapping[Partition, str]) -> None:
        """Continue the counts of an assignment from the metadata of its commits."""
        self._in_a_row = {partition: _count(text) for partition, text in metadata.items()}


def count_metadata(count: int) -> str:
    """Return a count of rejected records in a row as the metadata of a commit."""
    return f"{_METADATA_PREFIX}{count}" if count else ""


def _count(metadata: str) -> int:
    count = metadata.removeprefix(_METADATA_PREFIX)
    return int(count) if metadata.startswith(_METADATA_PREFIX) and count.isdecimal() else 0
