"""Dead letters: records that could not be processed, each with the reason and its original bytes."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from datetime import UTC, datetime

from phospho_schemas.ids import broker_revision, derived_id
from phospho_schemas.messages import DeadLetterRow
from phospho_schemas.topics import DEAD_LETTER, RAW_LOGS, Keyed
from phospho_workers.runtime import metrics
from phospho_workers.runtime.records import Record, Rejected, StageOutput

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
    position = (str(record.partition), str(record.offset)) if record.topic == RAW_LOGS.name else (record.value,)
    payload, key, headers = record.value[:_MAX_PAYLOAD_BYTES], record.key[:_MAX_KEY_BYTES], _first_headers(record)
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
        received_at=datetime.fromtimestamp(max(record.timestamp_ms, 0) / 1000, UTC),
        revision=broker_revision(record.timestamp_ms, record.offset),
    )
    return Keyed(key, row.model_dump_json().encode("utf-8", "replace"))


def reject(output: StageOutput, record: Record, *, stage: str, rejection: Rejected, project_id: str = "") -> None:
    """Add the dead letter of `record` to the output of a stage."""
    output.add(DEAD_LETTER, dead_letter(record, stage, rejection, project_id))
    output.dead_letters[rejection.reason] += 1


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


class TooManyDeadLetters(Exception):
    """So many records in a row were rejected that the fault is more likely the worker's: stop, and keep them."""


class DeadLetterLimit:
    """
    Counts rejected records in a row, by batches: a batch with one good record ends the row.

    Commits carry the count as metadata. So a worker that is restarted again and again does not send a topic to the
    dead letters piece by piece.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._in_a_row = 0

    def check(self, records: int, rejected: int) -> None:
        """Count a batch. Raises TooManyDeadLetters once the row is longer than the limit."""
        self._in_a_row = self._in_a_row + rejected if rejected >= records else 0
        if self._in_a_row > self._limit:
            raise TooManyDeadLetters(
                f"{self._in_a_row} records in a row were rejected; the limit is {self._limit}. Nothing of this batch"
                " was committed. Look at the last dead letters. To continue regardless, start the worker once with"
                " PHOSPHO_MAX_DEAD_LETTERS_IN_A_ROW above that number."
            )

    def metadata(self) -> str:
        """Return the metadata of the next commit."""
        return f"{_METADATA_PREFIX}{self._in_a_row}" if self._in_a_row else ""

    def resume(self, metadata: Iterable[str]) -> None:
        """Continue the longest row in the metadata of an assignment's commits."""
        counts = [text.removeprefix(_METADATA_PREFIX) for text in metadata if text.startswith(_METADATA_PREFIX)]
        self._in_a_row = max((int(count) for count in counts if count.isdecimal()), default=0)
