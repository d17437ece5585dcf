"""What happens to one batch of a stage on Kafka: compute, deliver, then commit."""

from __future__ import annotations

from collections.abc import Sequence

from confluent_kafka import Consumer, Message, TopicPartition

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
from phospho_workers.runtime.deliveries import Deliveries
from phospho_workers.runtime.records import Output, Record, Stage


class TooManyUnreadable(Exception):
    """So many records in a row could not be read that the fault is more likely ours: stop, and keep them."""


class UnreadableLimit:
    """Counts unreadable records in a row, by batches: a batch with one readable record ends the row."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._in_a_row = 0

    def check(self, records: int, unreadable: int) -> None:
        """Raise TooManyUnreadable once the row is longer than the limit."""
        self._in_a_row = self._in_a_row + unreadable if unreadable >= records else 0
        if self._in_a_row > self._limit:
            raise TooManyUnreadable(
                f"{self._in_a_row} records in a row could not be read; the limit is {self._limit}."
                " Nothing of this batch was committed: look at the last dead letters, then start the worker again."
            )


class StageWorker:
    """
    Runs a stage on batches of one topic. After `handle` returns, the effect of the batch is in Kafka and its offsets
    are committed; or another consumer owns it, and nothing was committed. Anything else raises, before any commit.
    """

    def __init__(self, stage: Stage, deliveries: Deliveries, limit: UnreadableLimit) -> None:
        self._stage = stage
        self._deliveries = deliveries
        self._limit = limit

    def handle(self, consumer: Consumer, messages: Sequence[Message]) -> None:
        records = [to_record(message) for message in messages]
        with metrics.BATCH_SECONDS.labels(self._stage.name).time():
            output = self._stage(records)
            self._limit.check(len(records), sum(output.unreadable.values()))
            self._deliveries.send(output.messages)
            self._commit(consumer, records)
        self._count(records, output)

    def assigned(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        """Nothing to do: a stage has no state of its own."""

    def revoked(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        """Nothing to do: a stage has no state of its own."""

    def _commit(self, consumer: Consumer, records: Sequence[Record]) -> None:
        offsets = next_offsets(records)
        try:
            commit(consumer, self._stage.name, offsets)
        except PartitionsLost:
            # The next owner does it again, with the same ids: a reader sees no difference.
            rewind(consumer, first_offsets(records))
            return
        observe_lag(consumer, offsets)

    def _count(self, records: Sequence[Record], output: Output) -> None:
        metrics.RECORDS_CONSUMED.labels(self._stage.name, records[0].topic).inc(len(records))
        for reason, number in output.unreadable.items():
            metrics.DEAD_LETTERS.labels(self._stage.name, reason).inc(number)
