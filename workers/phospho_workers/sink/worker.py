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
from concurrent.futures import ThreadPoolExecutor

from confluent_kafka import Consumer, Message, TopicPartition

from phospho_schemas.records import Keyed
from phospho_schemas.topics import DEAD_LETTER
from phospho_store.errors import StoreUnavailable
from phospho_store.store import Store
from phospho_workers.runtime import metrics
from phospho_workers.runtime.consumer import PartitionsLost, commit, observe_lag, rewind, to_record
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
# An insert waits for its parse, then for the disk: a few at once keep both busy.
_INSERTS_AT_ONCE = 4


class SinkWorker:
    """
    Gives every batch its rows. After `handle` returns, each range of it is stored and committed, or another consumer
    owns its partition. While ClickHouse is away, `handle` waits, with the partitions paused, and keeps polling.
    """

    def __init__(self, store: Store, deliveries: Deliveries, limit: UnreadableLimit) -> None:
        self._store_of_rows = store
        self._inserters = ThreadPoolExecutor(_INSERTS_AT_ONCE, thread_name_prefix="insert")
        self._deliveries = deliveries
        self._limit = limit
        self._planner = RangePlanner()
        # What a partition is ours by: another object after every assignment, so that a batch from before a rebalance
        # is not taken for one of now, also where the partition came back.
        self._claims: dict[Place, object] = {}
        self._is_waiting = False

    def assigned(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        for place in consumer.committed(list(partitions), timeout=30):
            begun_hi = parse_intent(place.metadata or "")
            if begun_hi is not None:
                metrics.INTENT_REPLAYS.inc()
                logger.info("%s[%d]: finishing the range up to %d", place.topic, place.partition, begun_hi)
            self._planner.assign((place.topic, place.partition), begun_hi)
            self._claims[place.topic, place.partition] = object()
        if self._is_waiting:
            consumer.assign(list(partitions))
            consumer.pause(list(partitions))

    def revoked(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        for place in partitions:
            self._planner.revoke((place.topic, place.partition))
            self._claims.pop((place.topic, place.partition), None)

    def handle(self, consumer: Consumer, messages: Sequence[Message]) -> None:
        with metrics.BATCH_SECONDS.labels(STAGE).time():
            ranges = self._planner.plan([to_record(message) for message in messages])
            if not ranges:
                return
            try:
                commit(consumer, STAGE, [TopicPartition(*r.place, r.lo, r.intent()) for r in ranges])
                stored = self._store(consumer, ranges)
                commit(consumer, STAGE, [TopicPartition(*r.place, r.hi + 1) for r in stored])
            except PartitionsLost:
                logger.warning("partitions were lost in the middle of a batch; their next owner has it")
                rewind(consumer, [TopicPartition(*r.place, r.lo) for r in ranges])
                return
        self._count(consumer, stored)

    def _store(self, consumer: Consumer, ranges: Sequence[Range]) -> list[Range]:
        """Insert every range, however long ClickHouse is away, and return those whose partition is still ours."""
        claims = {planned.place: self._claims.get(planned.place) for planned in ranges}
        stored: list[Range] = []
        pending, backoff_s = list(ranges), _FIRST_BACKOFF_S
        while pending:
            outcomes = dict(zip(pending, self._inserters.map(self._insert, pending), strict=True))
            for planned, refused in outcomes.items():
                if refused is not None:
                    self._bury(planned, refused)
                    stored.append(planned)
            if None in outcomes.values():
                self._wait(consumer, backoff_s)
                backoff_s = min(_MAX_BACKOFF_S, backoff_s * 2)
            ours = [planned for planned in outcomes if self._claims.get(planned.place) is claims[planned.place]]
            pending = [planned for planned in ours if outcomes[planned] is None]
        self._resume(consumer)
        return [planned for planned in stored if self._claims.get(planned.place) is claims[planned.place]]

    def _insert(self, planned: Range) -> list[Refused] | None:
        """Insert one range, on a thread of its own: return what was refused, or None where ClickHouse is away."""
        table = TABLE_OF_TOPIC[planned.topic]
        lines = [record.value.strip() or b"null" for record in planned.records]
        try:
            return insert_lines(self._store_of_rows, table, lines, planned.token())
        except StoreUnavailable as error:
            metrics.INSERT_RETRIES.labels(table).inc()
            logger.warning("%s: ClickHouse is away, the insert is tried again: %s", table, error)
            return None

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
