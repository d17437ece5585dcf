"""
A stage on Kafka. For each batch: run the stage, deliver its output, then commit the offsets.

Commit after the delivery: a crash in between repeats the batch, which writes the same ids again. A reader sees no
difference.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
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
from phospho_workers.runtime.dead_letters import DeadLetterLimit, count_dead_letters
from phospho_workers.runtime.producer import BatchProducer, DeliveryFailed
from phospho_workers.runtime.records import Record, Stage, StageOutput

logger = logging.getLogger(__name__)


class StageWorker:
    """
    Worker that runs a stage on the batches of one topic.

    After `handle` returns, the output of the batch is in Kafka and its offsets are committed, or another consumer
    owns the batch and nothing was committed. While Kafka or ClickHouse is unavailable, it pauses the partitions and
    keeps polling. Any other failure raises, before any commit.
    """

    def __init__(self, stage: Stage, producer: BatchProducer, limit: DeadLetterLimit) -> None:
        self._stage = stage
        self._producer = producer
        self._limit = limit
        self._backoff = PollingBackoff()
        # Another object after every rebalance.
        self._assignment = object()

    def on_assign(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        self._assignment = object()
        self._limit.resume(offset.metadata or "" for offset in committed_offsets(consumer, partitions))
        self._backoff.on_assign(consumer, partitions)

    def on_revoke(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        self._assignment = object()

    def handle(self, consumer: Consumer, messages: Sequence[Message]) -> None:
        records = [to_record(message) for message in messages]
        check_ownership = partial(self._check_ownership, self._assignment)
        with metrics.BATCH_SECONDS.labels(self._stage.name).time():
            try:
                output = self._deliver(consumer, records, check_ownership)
                offsets = next_offsets(records, self._limit.metadata())
                commit(consumer, self._stage.name, offsets, backoff=self._backoff, check_ownership=check_ownership)
            except PartitionsLost as lost:
                logger.warning("%s lost partitions; their next owner repeats the batch: %s", self._stage.name, lost)
                rewind(consumer, first_offsets(records))
                return
        observe_lag(consumer, offsets)
        metrics.RECORDS_CONSUMED.labels(self._stage.name, records[0].topic).inc(len(records))
        count_dead_letters(self._stage.name, output)

    def _check_ownership(self, assignment: object) -> None:
        """Raise PartitionsLost where a rebalance came since `assignment`."""
        if self._assignment is not assignment:
            raise PartitionsLost("a rebalance came while the batch waited")

    def _deliver(
        self, consumer: Consumer, records: Sequence[Record], check_ownership: Callable[[], None]
    ) -> StageOutput:
        """Run the stage and deliver, until Kafka and ClickHouse are available. Raises PartitionsLost."""
        try:
            while True:
                try:
                    return self._deliver_once(records)
                except (StoreUnavailable, DeliveryFailed) as failure:
                    logger.warning("%s failed on a batch and tries it again: %s", self._stage.name, failure)
                    self._backoff.wait(consumer)
                check_ownership()
        finally:
            self._backoff.resume(consumer)

    def _deliver_once(self, records: Sequence[Record]) -> StageOutput:
        output = self._stage(records)
        self._limit.check(len(records), output.dead_letters.total())
        self._producer.send(output.messages)
        return output
