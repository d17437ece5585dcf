"""Commits of offsets: fenced by ownership, and retried while the broker is restarting."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from phospho_workers.runtime import metrics
from phospho_workers.runtime.backoff import PollingBackoff
from phospho_workers.runtime.records import Partition, Record

logger = logging.getLogger(__name__)

T = TypeVar("T")

_KAFKA_TIMEOUT_S = 30.0
# An assignment may wait for its offsets as long as this; max.poll.interval.ms is 300 s.
_MAX_WAIT_FOR_OFFSETS_S = 200.0
_OFFSETS_BACKOFF_S = 0.5

# Errors of a commit by a consumer that no longer owns the partition. A topic that is gone is among them: its offsets
# mean nothing in the topic that replaces it.
_OWNERSHIP_LOST = frozenset(
    {
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError.FENCED_INSTANCE_ID,
        KafkaError.FENCED_MEMBER_EPOCH,
        KafkaError.STALE_MEMBER_EPOCH,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.UNKNOWN_TOPIC_ID,
        KafkaError._ASSIGNMENT_LOST,
        KafkaError._MAX_POLL_EXCEEDED,
        KafkaError._STATE,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError._UNKNOWN_TOPIC,
    }
)
# Errors that Kafka's protocol calls retriable, and librdkafka's own of a broker that is away.
_TRANSIENT = frozenset(
    {
        KafkaError.BROKER_NOT_AVAILABLE,
        KafkaError.CONCURRENT_TRANSACTIONS,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.ELIGIBLE_LEADERS_NOT_AVAILABLE,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.KAFKA_STORAGE_ERROR,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.LISTENER_NOT_FOUND,
        KafkaError.NETWORK_EXCEPTION,
        KafkaError.NOT_CONTROLLER,
        KafkaError.NOT_COORDINATOR,
        KafkaError.NOT_ENOUGH_REPLICAS,
        KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.OFFSET_NOT_AVAILABLE,
        KafkaError.PREFERRED_LEADER_NOT_AVAILABLE,
        KafkaError.REBOOTSTRAP_REQUIRED,
        KafkaError.REPLICA_NOT_AVAILABLE,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.THROTTLING_QUOTA_EXCEEDED,
        KafkaError.UNKNOWN,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.UNSTABLE_OFFSET_COMMIT,
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._DESTROY_BROKER,
        KafkaError._INTR,
        KafkaError._IN_PROGRESS,
        KafkaError._NODE_UPDATE,
        KafkaError._OUTDATED,
        KafkaError._PREV_IN_PROGRESS,
        KafkaError._QUEUE_FULL,
        KafkaError._RESOLVE,
        KafkaError._RETRY,
        KafkaError._TIMED_OUT,
        KafkaError._TIMED_OUT_QUEUE,
        KafkaError._TRANSPORT,
        KafkaError._UNKNOWN_BROKER,
        KafkaError._WAIT_CACHE,
        KafkaError._WAIT_COORD,
    }
)


class PartitionsLost(Exception):
    """The batch in hand belongs to another consumer now: drop it, and write nothing more for it."""


def commit(
    consumer: Consumer,
    stage: str,
    offsets: list[TopicPartition],
    *,
    backoff: PollingBackoff,
    check_ownership: Callable[[], None],
) -> None:
    """
    Commit offsets and wait for the answer, however long the group's coordinator is away.

    The consumer polls meanwhile; `check_ownership` raises PartitionsLost after a rebalance. Raises PartitionsLost where
    another consumer owns a partition now, and KafkaException for an error that doesn't go away.
    """
    try:
        while offsets:
            try:
                _commit_once(consumer, offsets)
                metrics.COMMITS.labels(stage, "ok").inc()
                return
            except KafkaException as failure:
                _raise_unless_transient(failure, stage)
            backoff.wait(consumer)
            check_ownership()
    finally:
        backoff.resume(consumer)


def _commit_once(consumer: Consumer, offsets: list[TopicPartition]) -> None:
    for committed in consumer.commit(offsets=offsets, asynchronous=False) or []:
        if committed.error is not None:
            raise KafkaException(committed.error)


def _raise_unless_transient(failure: KafkaException, stage: str) -> None:
    error = failure.args[0]
    if error.code() in _OWNERSHIP_LOST:
        metrics.COMMITS.labels(stage, "lost").inc()
        raise PartitionsLost(error.str()) from failure
    metrics.COMMITS.labels(stage, "failed").inc()
    if error.fatal() or error.code() not in _TRANSIENT:
        raise failure
    logger.warning("%s could not commit and tries again: %s", stage, error.str())


def committed_offsets(consumer: Consumer, partitions: Sequence[TopicPartition]) -> list[TopicPartition]:
    """
    Return what the group has committed for `partitions`, with the metadata of the commits.

    Blocks while the broker is away, up to 200 s, and raises KafkaException then.
    """

    def committed() -> list[TopicPartition]:
        offsets = consumer.committed(list(partitions), timeout=_KAFKA_TIMEOUT_S)
        for offset in offsets:
            if offset.error is not None:
                raise KafkaException(offset.error)
        return offsets

    return _with_retries(committed)


def watermarks(consumer: Consumer, partition: TopicPartition) -> tuple[int, int]:
    """Return the first offset of a partition and the one after its last. Blocks and raises as `committed_offsets`."""
    low, high = _with_retries(lambda: consumer.get_watermark_offsets(partition, timeout=_KAFKA_TIMEOUT_S))
    return low, high


def _with_retries(request: Callable[[], T]) -> T:
    """Repeat a request for offsets while the broker is away. A rebalance callback can't poll, so this sleeps."""
    deadline_s = time.monotonic() + _MAX_WAIT_FOR_OFFSETS_S
    while True:
        try:
            return request()
        except KafkaException as failure:
            if failure.args[0].code() not in _TRANSIENT or time.monotonic() > deadline_s:
                raise
            logger.warning("the offsets of an assignment can't be read, trying again: %s", failure.args[0].str())
        time.sleep(_OFFSETS_BACKOFF_S)


def next_offsets(records: Sequence[Record], metadata: Mapping[Partition, str]) -> list[TopicPartition]:
    """Return the offsets to commit once `records` are done: per partition the offset after the last, and metadata."""
    last: dict[Partition, int] = {}
    for record in records:
        last[record.topic, record.partition] = record.offset
    return [TopicPartition(*partition, offset + 1, metadata[partition]) for partition, offset in last.items()]


def first_offsets(records: Sequence[Record]) -> list[TopicPartition]:
    """Return, per partition, the offset of the first of `records`."""
    first: dict[Partition, int] = {}
    for record in records:
        first.setdefault((record.topic, record.partition), record.offset)
    return [TopicPartition(topic, partition, offset) for (topic, partition), offset in first.items()]


def rewind(consumer: Consumer, positions: Sequence[TopicPartition]) -> None:
    """
    Seek to `positions` in the partitions that the consumer still owns, after a batch was dropped.

    The rebalance that follows sets the position as well. This makes sure that nothing is skipped without one.
    """
    for position in positions:
        with suppress(KafkaException):
            consumer.seek(position)


def observe_lag(stage: str, consumer: Consumer, offsets: Sequence[TopicPartition]) -> None:
    """Set the gauge of lag from the last watermarks of the broker, without a request."""
    for committed in offsets:
        _, high = consumer.get_watermark_offsets(committed, cached=True)
        if high >= 0:
            lag = max(0, high - committed.offset)
            metrics.CONSUMER_LAG.labels(stage, committed.topic, str(committed.partition)).set(lag)
