"""FastStream's consumer with what it lacks: batches by bytes, counted errors, and commits that are told apart."""

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
from phospho_workers.runtime.records import Record

T = TypeVar("T")

_CHUNK_RECORDS = 1000
# A record much larger than all others makes small chunks for a while: a hundred chunks later it counts for half.
_FORGETTING = 0.993
# A commit that fails with one of these was not made by an owner: somebody else has the partition now.
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
    """The batch in hand belongs to another consumer now: drop it, write nothing more for it."""


class BatchConsumer(AsyncConfluentConsumer):
    """
    Hands out batches bounded by records, bytes and age.

    All calls of the underlying consumer run on one thread; `run` gives a batch to a function on that thread, so
    that no rebalance happens while it works, unless it polls. A batch that a rebalance cut is begun anew: its first
    part is another's by now, or comes again.
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
        """Wait up to `timeout` s for a first record, then up to `linger_s` for more; return none, or a batch."""
        return await self.run(lambda: self._batch(timeout, max_records or _CHUNK_RECORDS))

    def _batch(self, timeout_s: float, max_records: int) -> tuple[Message, ...]:
        batch, _ = self._consumed(1, timeout_s)
        size_bytes = sum(map(_size_bytes, batch))
        deadline_s = time.monotonic() + self.linger_s
        while batch and len(batch) < max_records and size_bytes < self.max_batch_bytes:
            wanted = min(max_records - len(batch), self._fitting(batch, self.max_batch_bytes - size_bytes))
            if not wanted:
                break
            more, is_cut = self._consumed(wanted, max(0.0, deadline_s - time.monotonic()))
            if is_cut:
                batch, size_bytes = [], 0
            batch += more
            size_bytes += sum(map(_size_bytes, more))
            if not more or time.monotonic() >= deadline_s:
                break
        return tuple(batch)

    def _fitting(self, batch: Sequence[Message], left_bytes: int) -> int:
        """
        Return how many more records fit for certain, if none is larger than the largest of late.

        What is read can't be given back, so the bound is looked at before a chunk and not after it.
        """
        largest_bytes = max(map(_size_bytes, batch[-_CHUNK_RECORDS:]))
        self._largest_bytes = max(largest_bytes, int(self._largest_bytes * _FORGETTING))
        return min(_CHUNK_RECORDS, left_bytes // max(1, self._largest_bytes))

    def _consumed(self, wanted: int, timeout_s: float) -> tuple[list[Message], bool]:
        """Return what comes in time, and whether a rebalance came meanwhile: what was read before is then void."""
        epoch = self.progress.epoch
        return self._good(self.consumer.consume(wanted, timeout_s)), epoch != self.progress.epoch

    def _good(self, messages: Sequence[Message]) -> list[Message]:
        """Return the messages without errors, and count the errors. Raises KafkaException for a fatal one."""
        good = []
        for message in messages:
            error = message.error()
            if error is None:
                good.append(message)
                continue
            metrics.CONSUMER_ERRORS.labels(self.stage, error.name()).inc()
            if error.fatal():
                raise KafkaException(error)
        return good


def to_record(message: Message) -> Record:
    """Return a Kafka message as a record; what it does not have is empty."""
    return Record(
        message.topic() or "",
        message.partition() or 0,
        message.offset() or 0,
        message.timestamp()[1],
        message.key() or b"",
        message.value() or b"",
        _headers(message),
    )


def _headers(message: Message) -> tuple[tuple[str, bytes], ...]:
    """Return the headers with their bytes as they came; they are never decoded."""
    pairs: Any = message.headers() or ()
    return tuple((name, value or b"") for name, value in pairs)


def next_offsets(records: Sequence[Record], metadata: str = "") -> list[TopicPartition]:
    """Return what to commit once `records` have had their effect: per partition, the offset after the last."""
    last: dict[tuple[str, int], int] = {}
    for record in records:
        last[record.topic, record.partition] = record.offset
    return [TopicPartition(topic, partition, offset + 1, metadata) for (topic, partition), offset in last.items()]


def first_offsets(records: Sequence[Record]) -> list[TopicPartition]:
    """Return, per partition, where `records` begin."""
    first: dict[tuple[str, int], int] = {}
    for record in records:
        first.setdefault((record.topic, record.partition), record.offset)
    return [TopicPartition(topic, partition, offset) for (topic, partition), offset in first.items()]


def commit(consumer: Consumer, stage: str, offsets: list[TopicPartition]) -> None:
    """
    Commit offsets and wait for the answer; none is nothing to do.

    Raises PartitionsLost where another consumer owns a partition by now, and KafkaException for any other failure.
    """
    if not offsets:
        return
    try:
        answers = consumer.commit(offsets=offsets, asynchronous=False) or []
        for answer in answers:
            if answer.error is not None:
                raise KafkaException(answer.error)
    except KafkaException as failure:
        error = failure.args[0]
        if error.code() in _OWNERSHIP_LOST:
            metrics.COMMITS.labels(stage, "lost").inc()
            raise PartitionsLost(error.str()) from failure
        metrics.COMMITS.labels(stage, "failed").inc()
        raise
    metrics.COMMITS.labels(stage, "ok").inc()


def rewind(consumer: Consumer, places: Sequence[TopicPartition]) -> None:
    """
    Read from `places` again, where a partition is still ours after a commit that failed.

    The rebalance that follows such a failure sets the position anyhow; this makes sure that nothing is skipped.
    """
    for place in places:
        with suppress(KafkaException):
            consumer.seek(place)


def observe_lag(consumer: Consumer, offsets: Sequence[TopicPartition]) -> None:
    """Set the gauge of lag from what the broker last said; costs no request."""
    for place in offsets:
        _, high = consumer.get_watermark_offsets(place, cached=True)
        if high >= 0:
            lag = max(0, high - place.offset)
            metrics.CONSUMER_LAG.labels(place.topic, str(place.partition)).set(lag)


def _size_bytes(message: Message) -> int:
    return len(message.value() or b"")
