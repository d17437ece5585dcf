"""What happens to one batch of a stage on Kafka: compute, deliver, then commit."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from confluent_kafka import Consumer, Message, TopicPartition

from phospho_store.errors import StoreUnavailable
from phospho_workers.runtime import metrics
from phospho_workers.runtime.consumer import (
    PartitionsLost,
    commit,
    first_offsets,
    next_offsets,
    observe_lag,
    rewind,
    to_record,
)
from phospho_workers.runtime.deliveries import Deliveries, DeliveryFailed
from phospho_workers.runtime.pause import Pause
from phospho_workers.runtime.records import Output, Record, Stage

logger = logging.getLogger(__name__)

_KAFKA_TIMEOUT_S = 30.0
_UNREADABLE = "phospho-unreadable"


class TooManyUnreadable(Exception):
    """So many records in a row could not be read that the fault is more likely ours: stop, and keep them."""


class UnreadableLimit:
    """
    Counts unreadable records in a row, by batches: a batch with one readable record ends the row.

    The count outlives the process as metadata of the commits, so that a worker that is started again and again does
    not send a topic to the dead letters piece by piece.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._in_a_row = 0

    def check(self, records: int, unreadable: int) -> None:
        """Raise TooManyUnreadable once the row is longer than the limit."""
        self._in_a_row = self._in_a_row + unreadable if unreadable >= records else 0
        if self._in_a_row > self._limit:
            raise TooManyUnreadable(
                f"{self._in_a_row} records in a row could not be read; the limit is {self._limit}. Nothing of this"
                " batch was committed: look at the last dead letters. To go on after them all the same, start the"
                " worker once with PHOSPHO_MAX_UNREADABLE_IN_A_ROW above that number."
            )

    def metadata(self) -> str:
        """Return what a commit says of the row."""
        return f"{_UNREADABLE} {self._in_a_row}" if self._in_a_row else ""

    def resume(self, metadata: Iterable[str]) -> None:
        """Go on with the longest row that the commits of an assignment tell of."""
        rows = [text.split(" ")[1] for text in metadata if text.startswith(_UNREADABLE + " ")]
        self._in_a_row = max((int(row) for row in rows if row.isdecimal()), default=0)


class StageWorker:
    """
    Runs a stage on batches of one topic. After `handle` returns, the effect of the batch is in Kafka and its offsets
    are committed; or another consumer owns it, and nothing was committed. While Kafka or ClickHouse is away it waits,
    with the partitions paused, and keeps polling. Anything else raises, before any commit.
    """

    def __init__(self, stage: Stage, deliveries: Deliveries, limit: UnreadableLimit) -> None:
        self._stage = stage
        self._deliveries = deliveries
        self._limit = limit
        self._pause = Pause()
        self._assignment = object()

    def assigned(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        self._assignment = object()
        committed = consumer.committed(list(partitions), timeout=_KAFKA_TIMEOUT_S)
        self._limit.resume(place.metadata or "" for place in committed)
        self._pause.assigned(consumer, partitions)

    def revoked(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        self._assignment = object()

    def handle(self, consumer: Consumer, messages: Sequence[Message]) -> None:
        records = [to_record(message) for message in messages]
        with metrics.BATCH_SECONDS.labels(self._stage.name).time():
            try:
                output = self._delivered(consumer, records)
                offsets = next_offsets(records, self._limit.metadata())
                commit(consumer, self._stage.name, offsets)
            except PartitionsLost as lost:
                # The next owner does it again, with the same ids: a reader sees no difference.
                logger.warning("%s: a batch is dropped, its next owner has it: %s", self._stage.name, lost)
                rewind(consumer, first_offsets(records))
                return
        observe_lag(consumer, offsets)
        self._count(records, output)

    def _delivered(self, consumer: Consumer, records: Sequence[Record]) -> Output:
        """Compute and deliver, however long Kafka or ClickHouse is away. Raises PartitionsLost after a rebalance."""
        assignment = self._assignment
        try:
            while True:
                try:
                    return self._delivered_once(records)
                except (StoreUnavailable, DeliveryFailed) as away:
                    logger.warning("%s: a batch is tried again: %s", self._stage.name, away)
                    self._pause.wait(consumer)
                if self._assignment is not assignment:
                    raise PartitionsLost("a rebalance came while the batch waited")
        finally:
            self._pause.resume(consumer)

    def _delivered_once(self, records: Sequence[Record]) -> Output:
        output = self._stage(records)
        self._limit.check(len(records), sum(output.unreadable.values()))
        self._deliveries.send(output.messages)
        return output

    def _count(self, records: Sequence[Record], output: Output) -> None:
        metrics.RECORDS_CONSUMED.labels(self._stage.name, records[0].topic).inc(len(records))
        for reason, number in output.unreadable.items():
            metrics.DEAD_LETTERS.labels(self._stage.name, reason).inc(number)
