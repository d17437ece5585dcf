"""
The sink on Kafka. For each group of records: commit the intent, insert the rows, commit the end.

1. *Commit the intent*: the range of each partition, as metadata of a commit at its first offset. This is the fence. It
   fails for a consumer that has lost the partition, which then inserts nothing.
2. *Insert* the rows, with a deduplication token that derives from the range and the rows. A successor that finds the
   intent repeats exactly this insert under the same token, and ClickHouse drops the rows that it has.
3. *Delete what was forgotten meanwhile*: the tombstones are read again after the insert.
4. *Commit the end*: the offset after the range, without an intent.

The protocol is that of eBay's Block Aggregator. Where it can't hold, because the partitions of a group went to several
consumers, the tables replace rows by identity.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import Enum, auto
from typing import NamedTuple, TypeVar

from confluent_kafka import Consumer, Message, TopicPartition

from phospho_schemas.topics import DEAD_LETTER
from phospho_store.errors import StoreError, StoreUnavailable
from phospho_store.forgetting.tombstones import Tombstones
from phospho_store.store import Store
from phospho_workers.runtime import metrics
from phospho_workers.runtime.backoff import PollingBackoff
from phospho_workers.runtime.commits import (
    PartitionsLost,
    commit,
    committed_offsets,
    observe_lag,
    rewind,
    watermarks,
)
from phospho_workers.runtime.consumer import to_record
from phospho_workers.runtime.producer import BatchProducer, DeliveryFailed
from phospho_workers.runtime.records import Partition, Record
from phospho_workers.runtime.traces import batch_span
from phospho_workers.sink.forgotten import delete_forgotten, without_forgotten
from phospho_workers.sink.insert import ResumableInsert, row_dead_letter
from phospho_workers.sink.planner import STAGE, TABLES, GroupPlanner, InsertGroup, Intent, parse_intent, table_of_topic

logger = logging.getLogger(__name__)

# Bisecting thousands of refused rows takes minutes. Polls in between serve rebalances.
_POLL_INTERVAL_S = 10.0


_Result = TypeVar("_Result")


class _Outcome(Enum):
    DONE = auto()
    UNFINISHED = auto()
    UNAVAILABLE = auto()


class _PendingInsert(NamedTuple):
    """An insert, and the records of its lines."""

    records: Sequence[Record]
    insert: ResumableInsert


class SinkWorker:
    """
    Worker that inserts the rows of every batch.

    After `handle` returns, each group of the batch is stored and committed, or another consumer owns its partitions.
    While ClickHouse is unavailable, `handle` pauses the partitions, keeps polling and tries again.
    """

    def __init__(self, store: Store, producer: BatchProducer) -> None:
        self._store = store
        self._tombstones = Tombstones(store)
        self._producer = producer
        self._threads = ThreadPoolExecutor(len(TABLES), thread_name_prefix="insert")
        self._backoff = PollingBackoff()
        self._planner = GroupPlanner()
        # Another object for a partition after every assignment. It tells a batch from before a rebalance from one of
        # now, also where the partition came back.
        self._assignments: dict[Partition, object] = {}

    @property
    def problem(self) -> str:
        """Why the batch in hand waits, for the readiness check; empty while nothing waits."""
        return self._backoff.reason

    def on_assign(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        committed = committed_offsets(consumer, partitions)
        intents = {(offset.topic, offset.partition): _read_intent(consumer, offset) for offset in committed}
        self._planner.assign(intents)
        self._assignments.update((partition, object()) for partition in intents)
        self._backoff.on_assign(consumer, partitions)

    def on_revoke(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        for partition in partitions:
            self._planner.revoke((partition.topic, partition.partition))
            self._assignments.pop((partition.topic, partition.partition), None)

    def handle(self, consumer: Consumer, messages: Sequence[Message]) -> None:
        self._planner.add([to_record(message) for message in messages])
        with metrics.BATCH_SECONDS.labels(STAGE).time():
            for groups in self._planner.take_groups():
                try:
                    self._store_groups(consumer, groups)
                except PartitionsLost as lost:
                    logger.warning("the sink lost partitions; their next owner repeats the batch: %s", lost)
                    rewind(consumer, self._drop_all(groups))
                    return

    def _store_groups(self, consumer: Consumer, groups: Sequence[InsertGroup]) -> None:
        assignments = self._assignments_of(groups)
        ends = _end_offsets(groups)
        with batch_span(STAGE, [record for group in groups for record in group.records]):
            self._commit(consumer, _intent_offsets(groups), assignments)
            self._insert(consumer, groups, assignments)
            self._commit(consumer, ends, assignments)
        for group in groups:
            metrics.RECORDS_CONSUMED.labels(STAGE, group.topic).inc(len(group.records))
        observe_lag(STAGE, consumer, ends)

    def _assignments_of(self, groups: Sequence[InsertGroup]) -> dict[Partition, object]:
        """Return the assignments of the groups' partitions. Raises PartitionsLost where one has another owner."""
        partitions = [offset_range.partition for group in groups for offset_range in group.ranges]
        if lost := [partition for partition in partitions if partition not in self._assignments]:
            raise PartitionsLost(f"another consumer owns {lost[0][0]}[{lost[0][1]}]")
        return {partition: self._assignments[partition] for partition in partitions}

    def _commit(
        self, consumer: Consumer, offsets: list[TopicPartition], assignments: Mapping[Partition, object]
    ) -> None:
        def check_ownership() -> None:
            self._check_ownership(assignments)

        commit(consumer, STAGE, offsets, backoff=self._backoff, check_ownership=check_ownership)

    def _check_ownership(self, assignments: Mapping[Partition, object]) -> None:
        """Raise PartitionsLost where a rebalance came since `assignments` were taken."""
        if any(self._assignments.get(partition) is not assignment for partition, assignment in assignments.items()):
            raise PartitionsLost("a rebalance came while the batch was in hand")

    def _insert(
        self, consumer: Consumer, groups: Sequence[InsertGroup], assignments: Mapping[Partition, object]
    ) -> None:
        """Insert every group, retrying until ClickHouse is available. Raises PartitionsLost after a rebalance."""
        try:
            pending = self._retried(consumer, assignments, lambda: self._inserts_of(groups))
            records = [record for each in pending for record in each.records]
            while pending:
                outcomes = list(self._threads.map(self._run, [each.insert for each in pending]))
                for each, outcome in zip(pending, outcomes, strict=True):
                    if outcome is _Outcome.DONE:
                        self._send_dead_letters(consumer, each)
                pending = [each for each, outcome in zip(pending, outcomes, strict=True) if outcome != _Outcome.DONE]
                if _Outcome.UNAVAILABLE in outcomes:
                    self._backoff.wait(consumer, "ClickHouse does not take the rows; the log says why")
                elif pending:
                    self._backoff.poll(consumer)
                self._check_ownership(assignments)
            if self._retried(consumer, assignments, self._tombstones.refresh):
                self._retried(consumer, assignments, lambda: delete_forgotten(self._tombstones, records))
        finally:
            self._backoff.resume(consumer)

    def _retried(
        self, consumer: Consumer, assignments: Mapping[Partition, object], action: Callable[[], _Result]
    ) -> _Result:
        """Return the result of `action`, once ClickHouse is available. Raises PartitionsLost after a rebalance."""
        while True:
            try:
                return action()
            except StoreError as error:
                logger.warning("ClickHouse is unavailable; forgotten rows can't be told from others: %s", error)
            self._backoff.wait(consumer, "the tombstones of forgotten rows can't be read; the log says why")
            self._check_ownership(assignments)

    def _inserts_of(self, groups: Sequence[InsertGroup]) -> list[_PendingInsert]:
        """Return the inserts of the rows that were not forgotten."""
        self._tombstones.refresh_if_old()
        batches = without_forgotten(self._tombstones, [group.records for group in groups])
        return [self._insert_of(group, records) for group, records in zip(groups, batches, strict=True)]

    def _insert_of(self, group: InsertGroup, records: Sequence[Record]) -> _PendingInsert:
        lines = [record.value.strip() or b"null" for record in records]
        insert = ResumableInsert(self._store, table_of_topic(group.topic), lines, group.token_prefix)
        return _PendingInsert(records, insert)

    def _run(self, insert: ResumableInsert) -> _Outcome:
        """Run an insert, in a thread of its own, for as long as the consumer may go without a poll."""
        try:
            return _Outcome.DONE if insert.run(_POLL_INTERVAL_S) else _Outcome.UNFINISHED
        except StoreUnavailable as error:
            metrics.INSERT_RETRIES.labels(insert.table).inc()
            logger.warning("ClickHouse is unavailable; the insert into %s is tried again: %s", insert.table, error)
            return _Outcome.UNAVAILABLE

    def _send_dead_letters(self, consumer: Consumer, pending: _PendingInsert) -> None:
        """Send the dead letters of refused rows, retrying until Kafka has them."""
        letters = [row_dead_letter(pending.records[row.index], row) for row in pending.insert.refused_rows]
        while letters:
            try:
                self._producer.send({DEAD_LETTER.name: letters})
                return
            except DeliveryFailed as failure:
                logger.warning("Kafka did not confirm dead letters; they are sent again: %s", failure)
                self._backoff.wait(consumer)

    def _drop_all(self, groups: Sequence[InsertGroup]) -> list[TopicPartition]:
        """Drop everything that was read and not committed, and return where to read again."""
        first_offsets = self._planner.drop_records()
        for group in groups:
            first_offsets.update((offset_range.partition, offset_range.first_offset) for offset_range in group.ranges)
        return [TopicPartition(*partition, offset) for partition, offset in first_offsets.items()]


def _intent_offsets(groups: Sequence[InsertGroup]) -> list[TopicPartition]:
    intents = [entry for group in groups for entry in group.intents()]
    return [TopicPartition(*partition, offset, intent.metadata) for partition, offset, intent in intents]


def _end_offsets(groups: Sequence[InsertGroup]) -> list[TopicPartition]:
    ranges = [offset_range for group in groups for offset_range in group.ranges]
    return [TopicPartition(*offset_range.partition, offset_range.last_offset + 1) for offset_range in ranges]


def _read_intent(consumer: Consumer, committed: TopicPartition) -> Intent | None:
    """Return the intent of a partition's last owner; None where the topic no longer has its records."""
    intent = parse_intent(committed.metadata or "")
    if intent is None:
        return None
    low, high = watermarks(consumer, committed)
    if not low <= intent.last_offset < high:
        return None
    metrics.INTENT_REPLAYS.inc()
    logger.info(
        "%s[%d] has a started range up to offset %d; it is inserted again",
        committed.topic,
        committed.partition,
        intent.last_offset,
    )
    return intent
