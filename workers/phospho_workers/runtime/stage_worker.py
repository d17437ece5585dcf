"""
A stage on Kafka. For each batch: run the stage, deliver its output, then commit the offsets.

Commit after the delivery: a crash in between repeats the batch, which writes the same ids again. A reader sees no
difference.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from confluent_kafka import Consumer, Message, TopicPartition

from phospho_store.errors import StoreUnavailable
from phospho_workers.runtime import metrics
from phospho_workers.runtime.backoff import PollingBackoff
from phospho_workers.runtime.commits import (
    PartitionsLost,
    commit,
    committed_offsets,
    first_offsets,
    next_offsets,
    observe_lag,
    rewind,
)
from phospho_workers.runtime.consumer import to_record
from phospho_workers.runtime.dead_letters import DeadLetterLimit, count_dead_letters, count_metadata
from phospho_workers.runtime.producer import BatchProducer, DeliveryFailed
from phospho_workers.runtime.records import Partition, Record, Stage, StageOutput
from phospho_workers.runtime.traces import batch_span

logger = logging.getLogger(__name__)


class StageWorker:
    """
    Worker that runs a stage on the batches of one topic.

    After `handle` returns, the output of the batch is in Kafka and its offsets are committed, or another consumer
    owns the batch and nothing was committed. While Kafka or ClickHouse is unavailable, it pauses the partitions and
    keeps polling. It stops a partition with too many rejected records in a row and goes on with the others. Any other
    failure raises, before any commit.
    """

    def __init__(self, stage: Stage, producer: BatchProducer, limit: DeadLetterLimit) -> None:
        self._stage = stage
        self._producer = producer
        self._limit = limit
        self._backoff = PollingBackoff()
        # Another object after every rebalance.
        self._assignment = object()

    @property
    def problem(self) -> str:
        """The partitions that were stopped, or why the batch in hand waits, for the readiness check; else empty."""
        names = ", ".join(f"{topic}[{number}]" for topic, number in sorted(self._backoff.stopped))
        return (
            f"{names}: stopped after too many dead letters in a row; the log says more"
            if names
            else self._backoff.reason
        )

    def on_assign(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        self._assignment = object()
        committed = committed_offsets(consumer, partitions)
        self._limit.resume({(offset.topic, offset.partition): offset.metadata or "" for offset in committed})
        self._backoff.on_assign(consumer, partitions)
        metrics.STOPPED_PARTITIONS.labels(self._stage.name).set(0)

    def on_revoke(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        self._assignment = object()

    def handle(self, consumer: Consumer, messages: Sequence[Message]) -> None:
        records = [to_record(message) for message in messages]
        check_ownership = partial(self._check_ownership, self._assignment)
        with metrics.BATCH_SECONDS.labels(self._stage.name).time(), batch_span(self._stage.name, records):
            try:
                records, output = self._deliver(consumer, records, check_ownership)
                counts = self._limit.counts_after(records, output.rejected)
                offsets = next_offsets(records, {partition: count_metadata(n) for partition, n in counts.items()})
                commit(consumer, self._stage.name, offsets, backoff=self._backoff, check_ownership=check_ownership)
            except PartitionsLost as lost:
                logger.warning("%s lost partitions; their next owner repeats the batch: %s", self._stage.name, lost)
                rewind(consumer, first_offsets(records))
                return
        self._limit.set(counts)
        observe_lag(self._stage.name, consumer, offsets)
        metrics.RECORDS_CONSUMED.labels(self._stage.name, messages[0].topic()).inc(len(records))
        count_dead_letters(self._stage.name, output)

    def _check_ownership(self, assignment: object) -> None:
        """Raise PartitionsLost where a rebalance came since `assignment`."""
        if self._assignment is not assignment:
            raise PartitionsLost("a rebalance came while the batch waited")

    def _deliver(
        self, consumer: Consumer, records: list[Record], check_ownership: Callable[[], None]
    ) -> tuple[list[Record], StageOutput]:
        """
        Run the stage and deliver its output, until Kafka and ClickHouse are available.

        Returns the records that are done, without those of stopped partitions. Raises PartitionsLost.
        """
        try:
            while True:
                try:
                    return self._deliver_once(consumer, records)
                except (StoreUnavailable, DeliveryFailed) as failure:
                    logger.warning("%s failed on a batch and tries it again: %s", self._stage.name, failure)
                    self._backoff.wait(consumer, f"the batch is not written: {failure}")
                check_ownership()
        finally:
            self._backoff.resume(consumer)

    def _deliver_once(self, consumer: Consumer, records: list[Record]) -> tuple[list[Record], StageOutput]:
        records = self._without_stopped(records)
        output = self._stage(records)
        counts = self._limit.counts_after(records, output.rejected)
        beyond_limit = {partition: n for partition, n in counts.items() if n > self._limit.limit}
        if beyond_limit:
            self._stop(consumer, records, beyond_limit)
            records = self._without_stopped(records)
            output = self._stage(records)
        self._producer.send(output.messages)
        return records, output

    def _without_stopped(self, records: list[Record]) -> list[Record]:
        stopped = self._backoff.stopped
        return [record for record in records if (record.topic, record.partition) not in stopped] if stopped else records

    def _stop(self, consumer: Consumer, records: Sequence[Record], counts: Mapping[Partition, int]) -> None:
        """Stop partitions at their first record of the batch, until they are assigned again."""
        positions = [first for first in first_offsets(records) if (first.topic, first.partition) in counts]
        self._backoff.stop_partitions(consumer, positions)
        metrics.STOPPED_PARTITIONS.labels(self._stage.name).set(len(self._backoff.stopped))
        for first in positions:
            rejected = counts[first.topic, first.partition]
            logger.error(
                "%s stopped %s: %s. Other partitions go on. Look at the last dead letters. To go on there as well,"
                " restart the workers with PHOSPHO_MAX_DEAD_LETTERS_IN_A_ROW above that number",
                self._stage.name,
                f"{first.topic}[{first.partition}] at offset {first.offset}",
                f"{rejected} records in a row were rejected; the limit is {self._limit.limit}",
            )
