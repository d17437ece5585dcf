"""
The sink's protocol: say what will be inserted, insert it, say that it is done.

Before an insert, the range is committed as the metadata of the offset where it begins. That commit is the fence: it
fails for a consumer that has lost the partition, which then inserts nothing. A successor that finds a range which
was begun inserts exactly that range again, under the same token, and ClickHouse drops what is there already. The
protocol is that of eBay's Block Aggregator; the tables replace by identity as the backstop.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Sequence

from confluent_kafka import Consumer, Message, TopicPartition

from phospho_schemas.records import Keyed
from phospho_schemas.topics import DEAD_LETTER
from phospho_store.errors import StoreUnavailable
from phospho_store.store import Store
from phospho_workers.runtime import metrics
from phospho_workers.runtime.consumer import PartitionsLost, commit, observe_lag, to_record
from phospho_workers.runtime.deliveries import Deliveries
from phospho_workers.runtime.records import Unreadable, dead_letter
from phospho_workers.runtime.worker import UnreadableLimit
from phospho_workers.sink.insert import Refused, insert_lines
from phospho_workers.sink.ranges import Place, Range, RangePlanner, parse_intent
from phospho_workers.sink.tables import TABLE_OF_TOPIC

logger = logging.getLogger("phospho.sink")

STAGE = "sink"
_FIRST_BACKOFF_S = 0.2
_MAX_BACKOFF_S = 5.0


class SinkWorker:
    """
    Gives every batch its rows. After `handle` returns, each range of it is stored and committed, or another consumer
    owns its partition. While ClickHouse is away, `handle` waits, with the partitions paused, and keeps polling.
    """

    def __init__(self, store: Store, deliveries: Deliveries, limit: UnreadableLimit) -> None:
        self._store = store
        self._deliveries = deliveries
        self._limit = limit
        self._planner = RangePlanner()
        self._owned: set[Place] = set()
        self._is_waiting = False

    def assigned(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        for place in consumer.committed(list(partitions), timeout=30):
            begun_hi = parse_intent(place.metadata or "")
            if begun_hi is not None:
                metrics.INTENT_REPLAYS.inc()
                logger.info("%s[%d]: finishing the range up to %d", place.topic, place.partition, begun_hi)
            self._planner.assign((place.topic, place.partition), begun_hi)
            self._owned.add((place.topic, place.partition))
        if self._is_waiting:
            consumer.assign(list(partitions))
            consumer.pause(list(partitions))

    def revoked(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        for place in partitions:
            self._planner.revoke((place.topic, place.partition))
            self._owned.discard((place.topic, place.partition))

    def handle(self, consumer: Consumer, messages: Sequence[Message]) -> None:
        with metrics.BATCH_SECONDS.labels(STAGE).time():
            ranges = self._planner.plan([to_record(message) for message in messages])
            if not ranges:
                return
            try:
                commit(consumer, STAGE, [TopicPartition(*r.place, r.lo, r.intent()) for r in ranges])
                stored = [r for r in _tables_in_order(ranges) if self._store_range(consumer, r)]
                commit(consumer, STAGE, [TopicPartition(*r.place, r.hi + 1) for r in stored])
            except PartitionsLost:
                logger.warning("partitions were lost in the middle of a batch; their next owner has it")
                return
        self._count(consumer, stored)

    def _store_range(self, consumer: Consumer, planned: Range) -> bool:
        """Insert one range, however long ClickHouse is away; False where the partition was lost meanwhile."""
        backoff_s = _FIRST_BACKOFF_S
        table = TABLE_OF_TOPIC[planned.topic]
        lines = [record.value.strip() or b"null" for record in planned.records]
        while planned.place in self._owned:
            try:
                self._bury(planned, insert_lines(self._store, table, lines, planned.token()))
                self._resume(consumer)
                return True
            except StoreUnavailable as error:
                metrics.INSERT_RETRIES.labels(table).inc()
                logger.warning("%s: ClickHouse is away, trying again in %.1f s: %s", table, backoff_s, error)
                self._wait(consumer, backoff_s)
                backoff_s = min(_MAX_BACKOFF_S, backoff_s * 2)
        return False

    def _bury(self, planned: Range, refused: Sequence[Refused]) -> None:
        """Send the refused rows to the dead letters, and wait until they are there."""
        self._limit.check(len(planned.records), len(refused))
        letters: list[Keyed] = []
        for refusal in refused:
            why = Unreadable("row_refused", refusal.detail)
            letters.append(dead_letter(planned.records[refusal.index], STAGE, why))
            metrics.DEAD_LETTERS.labels(STAGE, why.reason).inc()
        if letters:
            self._deliveries.send({DEAD_LETTER.name: letters})

    def _wait(self, consumer: Consumer, backoff_s: float) -> None:
        """Pause every partition and poll: the group keeps this member, and hears of rebalances."""
        if not self._is_waiting:
            consumer.pause(consumer.assignment())
            self._is_waiting = True
        deadline_s = time.monotonic() + backoff_s * random.uniform(0.5, 1.0)
        while time.monotonic() < deadline_s:
            message = consumer.poll(0.1)
            if message is not None and message.error() is None:
                place = TopicPartition(message.topic() or "", message.partition() or 0, message.offset() or 0)
                consumer.seek(place)
                consumer.pause([place])

    def _resume(self, consumer: Consumer) -> None:
        if self._is_waiting:
            self._is_waiting = False
            consumer.resume(consumer.assignment())

    def _count(self, consumer: Consumer, stored: Sequence[Range]) -> None:
        for planned in stored:
            metrics.RECORDS_CONSUMED.labels(STAGE, planned.topic).inc(len(planned.records))
        observe_lag(consumer, [TopicPartition(*r.place, r.hi + 1) for r in stored])


def _tables_in_order(ranges: Sequence[Range]) -> list[Range]:
    order = list(TABLE_OF_TOPIC)
    return sorted(ranges, key=lambda planned: order.index(planned.topic))
