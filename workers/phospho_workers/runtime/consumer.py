"""Consumer of the workers: FastStream's with batches bounded in bytes, counted errors and fenced commits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from faststream.confluent.helpers import AsyncConfluentConsumer

from phospho_workers.runtime import metrics
from phospho_workers.runtime.progress import Progress
from phospho_workers.runtime.records import Partition, Record

T = TypeVar("T")

KAFKA_TIMEOUT_S = 30.0

_CHUNK_RECORDS = 1000
# After a record much larger than all others, chunks are small for a while. A hundred chunks later it counts for half.
_LARGEST_SIZE_DECAY = 0.993
# Errors of a commit by a consumer that no longer owns the partition.
_OWNERSHIP_LOST = frozenset(
    {
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError.FENCED_INSTANCE_ID,
        KafkaError._ASSIGNMENT_LOST,
        KafkaError._STATE,
    }
)


class PartitionsLost(Exception):
    """The batch in hand belongs to another consumer now: drop it, and write nothing more for it."""


class BatchConsumer(AsyncConfluentConsumer):
    """
    Consumer that returns batches bounded by records, bytes and age.

    All calls of the underlying consumer run on one thread. `run` runs a function on that thread, so no rebalance
    happens meanwhile unless the function polls. A rebalance while a batch is being read discards what was read: it
    has another owner now, or is read again.
    """

    stage = ""
    max_batch_bytes = 0
    linger_s = 0.0
    progress = Progress()
    _largest_bytes = 0

    async def run(self, work: Callable[[], T]) -> T:
        """Run `work` on the consumer's thread and return what it returns."""
        return await asyncio.get_running_loop().run_in_executor(self._thread_pool, work)

    async def getmany(self, timeout: float = 0.1, max_records: int | None = 10) -> tuple[Message, ...]:  # noqa: ASYNC109 (FastStream's signature)
        """Return a batch: wait up to `timeout` s for a first record, then up to `linger_s` for more."""
        return await self.run(lambda: self._batch(timeout, max_records or _CHUNK_RECORDS))

    def _batch(self, timeout_s: float, max_records: int) -> tuple[Message, ...]:
        batch, _ = self._consume(1, timeout_s)
        size_bytes = sum(map(_value_bytes, batch))
        deadline_s = time.monotonic() + self.linger_s
        while batch and len(batch) < max_records and size_bytes < self.max_batch_bytes:
            chunk_records = min(max_records - len(batch), self._records_that_fit(batch, size_bytes))
            if not chunk_records:
                break
            chunk, has_rebalanced = self._consume(chunk_records, max(0.0, deadline_s - time.monotonic()))
            if has_rebalanced:
                batch, size_bytes = [], 0
            batch += chunk
            size_bytes += sum(map(_value_bytes, chunk))
            if not chunk or time.monotonic() >= deadline_s:
                break
        return tuple(batch)

    def _records_that_fit(self, batch: Sequence[Message], batch_bytes: int) -> int:
        """
        Return the number of records for which the batch has room, if none is larger than the largest recent one.

        Records that were read can't be returned to Kafka, so the bound is checked before a chunk is read.
        """
        largest_bytes = max(map(_value_bytes, batch[-_CHUNK_RECORDS:]))
        self._largest_bytes = max(largest_bytes, int(self._largest_bytes * _LARGEST_SIZE_DECAY))
        return min(_CHUNK_RECORDS, (self.max_batch_bytes - batch_bytes) // max(1, self._largest_bytes))

    def _consume(self, max_records: int, timeout_s: float) -> tuple[list[Message], bool]:
        """Return messages, and True where a rebalance came meanwhile: those read before are void then."""
        epoch = self.progress.epoch
        return self._without_errors(self.consumer.consume(max_records, timeout_s)), epoch != self.progress.epoch

    def _without_errors(self, messages: Sequence[Message]) -> list[Message]:
        """Return the messages and count the errors among them. Raises KafkaException for a fatal one."""
        good_messages = []
        for message in messages:
            error = message.error()
            if error is None:
                good_messages.append(message)
                continue
            metrics.CONSUMER_ERRORS.labels(self.stage, error.name()).inc()
            if error.fatal():
                raise KafkaException(error)
        return good_messages


def to_record(message: Message) -> Record:
    """Return a Kafka message as a record."""
    return Record(
        topic=message.topic() or "",
        partition=message.partition() or 0,
        offset=message.offset() or 0,
        timestamp_ms=message.timestamp()[1],
        key=message.key() or b"",
        value=message.value() or b"",
        headers=_headers(message),
    )


def _headers(message: Message) -> tuple[tuple[str, bytes], ...]:
    """Return the headers with their raw bytes, which are never decoded."""
    pairs: Any = message.headers() or ()
    return tuple((name, value or b"") for name, value in pairs)


def next_offsets(records: Sequence[Record], metadata: str = "") -> list[TopicPartition]:
    """Return the offsets to commit once `records` are done: per partition, the offset after the last."""
    last: dict[Partition, int] = {}
    for record in records:
        last[record.topic, record.partition] = record.offset
    return [TopicPartition(topic, partition, offset + 1, metadata) for (topic, partition), offset in last.items()]


def first_offsets(records: Sequence[Record]) -> list[TopicPartition]:
    """Return, per partition, the offset of the first of `records`."""
    first: dict[Partition, int] = {}
    for record in records:
        first.setdefault((record.topic, record.partition), record.offset)
    return [TopicPartition(topic, partition, offset) for (topic, partition), offset in first.items()]


def commit(consumer: Consumer, stage: str, offsets: list[TopicPartition]) -> None:
    """
    Commit offsets and wait for the answer.

    Raises PartitionsLost where another consumer owns a partition now, and KafkaException for any other failure.
    """
    if not offsets:
        return
    try:
        for committed in consumer.commit(offsets=offsets, asynchronous=False) or []:
            if committed.error is not None:
                raise KafkaException(committed.error)
    except KafkaException as failure:
        error = failure.args[0]
        if error.code() in _OWNERSHIP_LOST:
            metrics.COMMITS.labels(stage, "lost").inc()
            raise PartitionsLost(error.str()) from failure
        metrics.COMMITS.labels(stage, "failed").inc()
        raise
    metrics.COMMITS.labels(stage, "ok").inc()


def committed_offsets(consumer: Consumer, partitions: Sequence[TopicPartition]) -> list[TopicPartition]:
    """Return what the group has committed for `partitions`, with the metadata of the commits."""
    return consumer.committed(list(partitions), timeout=KAFKA_TIMEOUT_S)


def rewind(consumer: Consumer, positions: Sequence[TopicPartition]) -> None:
    """
    Seek to `positions` in the partitions that the consumer still owns, after a batch was dropped.

    The rebalance that follows sets the position as well. This makes sure that nothing is skipped without one.
    """
    for position in positions:
        with suppress(KafkaException):
            consumer.seek(position)


def observe_lag(consumer: Consumer, offsets: Sequence[TopicPartition]) -> None:
    """Set the gauge of lag from the last watermarks of the broker, without a request."""
    for committed in offsets:
        _, high = consumer.get_watermark_offsets(committed, cached=True)
        if high >= 0:
            lag = max(0, high - committed.offset)
            metrics.CONSUMER_LAG.labels(committed.topic, str(committed.partition)).set(lag)


def _value_bytes(message: Message) -> int:
    return len(message.value() or b"")
