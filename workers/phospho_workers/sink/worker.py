"""
The sink's protocol: say what will be inserted, insert it, say that it is done.

Before an insert, the range of each partition is committed as the metadata of the offset where it begins. That commit
is the fence: it fails for a consumer that has lost the partition, which then inserts nothing. A successor that finds
ranges which were begun inserts exactly them again, in the same group and under the same token, and ClickHouse drops
what is there already. The protocol is that of eBay's Block Aggregator; the tables replace by identity as the backstop.
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
from phospho_workers.sink.ranges import Begun, Group, Place, RangePlanner, parse_intent
from phospho_workers.sink.tables import TABLE_OF_TOPIC

logger = logging.getLogger("phospho.sink")

STAGE = "sink"
_FIRST_BACKOFF_S = 0.2
_MAX_BACKOFF_S = 5.0
_KAFKA_TIMEOUT_S = 30.0


class SinkWorker:
    """
    Gives every batch its rows. After `handle` returns, each group of it is stored and committed, or another consumer
    owns its partitions. While ClickHouse is away, `handle` waits, with the partitions paused, and keeps polling.
    """

    def __init__(self, store: Store, deliveries: Deliveries, limit: UnreadableLimit) -> None:
        self._store = store
        self._inserters = ThreadPoolExecutor(len(TABLE_OF_TOPIC), thread_name_prefix="insert")
        self._deliveries = deliveries
        self._limit = limit
        self._planner = RangePlanner()
        # What a partition is ours by: another object after every assignment, so that a batch from before a rebalance
        # is not taken for one of now, also where the partition came back.
        self._claims: dict[Place, object] = {}
        self._is_waiting = False

    def assigned(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        committed = consumer.committed(list(partitions), timeout=_KAFKA_TIMEOUT_S)
        begun = {(place.topic, place.partition): _begun(consumer, place) for place in committed}
        self._planner.assign(begun)
        self._claims.update((place, object()) for place in begun)
        if self._is_waiting:
            consumer.assign(list(partitions))
            consumer.pause(list(partitions))

    def revoked(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        for place in partitions:
            self._planner.revoke((place.topic, place.partition))
            self._claims.pop((place.topic, place.partition), None)

    def handle(self, consumer: Consumer, messages: Sequence[Message]) -> None:
        with metrics.BATCH_SECONDS.labels(STAGE).time():
            self._planner.add([to_record(message) for message in messages])
            for groups in self._planner.waves():
                self._flush(consumer, groups)

    def _flush(self, consumer: Consumer, groups: Sequence[Group]) -> None:
        intents = [intent for group in groups for intent in group.intents()]
        try:
            commit(consumer, STAGE, [TopicPartition(*place, offset, metadata) for place, offset, metadata in intents])
            stored = self._insert_all(consumer, groups)
            done = [TopicPartition(*r.place, r.hi + 1) for group in stored for r in group.ranges]
            commit(consumer, STAGE, done)
        except PartitionsLost:
            logger.warning("partitions were lost in the middle of a batch; their next owner has it")
            rewind(consumer, [TopicPartition(*place, offset) for place, offset, _ in intents])
            return
        for group in stored:
            metrics.RECORDS_CONSUMED.labels(STAGE, group.topic).inc(len(group.records))
        observe_lag(consumer, done)

    def _insert_all(self, consumer: Consumer, groups: Sequence[Group]) -> list[Group]:
        """Insert every group, however long ClickHouse is away. Raises PartitionsLost where one is ours no more."""
        claims = {r.place: self._claims.get(r.place) for group in groups for r in group.ranges}
        pending, backoff_s = list(groups), _FIRST_BACKOFF_S
        while pending:
            outcomes = dict(zip(pending, self._inserters.map(self._insert, pending), strict=True))
            for group, refused in outcomes.items():
                if refused is not None:
                    self._bury(group, refused)
            pending = [group for group, refused in outcomes.items() if refused is None]
            if pending:
                self._wait(consumer, backoff_s)
                backoff_s = min(_MAX_BACKOFF_S, backoff_s * 2)
            if any(self._claims.get(place) is not claim for place, claim in claims.items()):
                raise PartitionsLost("a rebalance took partitions while ClickHouse was away")
        self._resume(consumer)
        return list(groups)

    def _insert(self, group: Group) -> list[Refused] | None:
        """Insert one group, on a thread of its own: return what was refused, or None where ClickHouse is away."""
        table = TABLE_OF_TOPIC[group.topic]
        lines = [record.value.strip() or b"null" for record in group.records]
        try:
            return insert_lines(self._store, table, lines, group.name) if lines else []
        except StoreUnavailable as error:
            metrics.INSERT_RETRIES.labels(table).inc()
            logger.warning("%s: ClickHouse is away, the insert is tried again: %s", table, error)
            return None

    def _bury(self, group: Group, refused: Sequence[Refused]) -> None:
        """Send the refused rows to the dead letters, and wait until they are there."""
        records = group.records
        self._limit.check(len(records), len(refused))
        letters: list[Keyed] = []
        for refusal in refused:
            why = Unreadable("row_refused", refusal.detail)
            letters.append(dead_letter(records[refusal.index], STAGE, why))
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


def _begun(consumer: Consumer, committed: TopicPartition) -> Begun | None:
    """Return what a predecessor began on a partition, unless retention has taken all of it since."""
    begun = parse_intent(committed.metadata or "")
    if begun is None:
        return None
    low, _ = consumer.get_watermark_offsets(committed, timeout=_KAFKA_TIMEOUT_S)
    if low > begun.hi:
        return None
    metrics.INTENT_REPLAYS.inc()
    logger.info("%s[%d]: finishing the range up to %d", committed.topic, committed.partition, begun.hi)
    return begun
