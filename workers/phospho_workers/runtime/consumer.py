"""Consumer of the workers: FastStream's, with batches bounded in bytes and counted errors."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from confluent_kafka import KafkaException, Message
from faststream.confluent.helpers import AsyncConfluentConsumer

from phospho_workers.runtime import metrics
from phospho_workers.runtime.progress import Progress
from phospho_workers.runtime.records import Record

T = TypeVar("T")

_CHUNK_RECORDS = 1000
# After a record much larger than all others, chunks are small for a while. A hundred chunks later it counts for half.
_LARGEST_SIZE_DECAY = 0.993


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


def _value_bytes(message: Message) -> int:
    return len(message.value() or b"")
