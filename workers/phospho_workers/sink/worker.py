"""
The sink's protocol: say what will be inserted, insert it, say that it is done.

Before an insert, the range of each partition is committed as the metadata of the offset where it begins. That commit
is the fence: it fails for a consumer that has lost the partition, which then inserts nothing. A successor that finds
ranges which were begun inserts exactly them again, in the same group and under the same token, and ClickHouse drops
what is there already. The protocol is that of eBay's Block Aggregator; the tables replace by identity as the backstop.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import Enum, auto

from confluent_kafka import Consumer, Message, TopicPartition

from phospho_schemas.records import Keyed
from phospho_schemas.topics import DEAD_LETTER
from phospho_store.errors import StoreUnavailable
from phospho_store.store import Store
from phospho_workers.runtime import metrics
from phospho_workers.runtime.consumer import PartitionsLost, commit, observe_lag, rewind, to_record
from phospho_workers.runtime.deliveries import Deliveries, DeliveryFailed
from phospho_workers.runtime.pause import Pause
from phospho_workers.runtime.records import Unreadable, dead_letter
from phospho_workers.sink.insert import Insertion, Refused
from phospho_workers.sink.ranges import Begun, Group, Place, RangePlanner, parse_intent
from phospho_workers.sink.tables import TABLE_OF_TOPIC

logger = logging.getLogger(__name__)

STAGE = "sink"
_KAFKA_TIMEOUT_S = 30.0
# Bisecting thousands of refused rows takes minutes; rebalances are heard in between.
_POLL_INTERVAL_S = 10.0


class _Outcome(Enum):
    DONE = auto()
    UNFINISHED = auto()
    AWAY = auto()


class SinkWorker:
    """
    Gives every batch its rows. After `handle` returns, each group of it is stored and committed, or another consumer
    owns its partitions. While ClickHouse is away, `handle` waits, with the partitions paused, and keeps polling.
    """

    def __init__(self, store: Store, deliveries: Deliveries) -> None:
        self._store = store
        self._inserters = ThreadPoolExecutor(len(TABLE_OF_TOPIC), thread_name_prefix="insert")
        self._deliveries = deliveries
        self._pause = Pause()
        self._planner = RangePlanner()
        # What a partition is ours by: another object after every assignment, so that a batch from before a rebalance
        # is not taken for one of now, also where the partition came back.
        self._claims: dict[Place, object] = {}

    def assigned(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        committed = consumer.committed(list(partitions), timeout=_KAFKA_TIMEOUT_S)
        begun = {(place.topic, place.partition): _begun(consumer, place) for place in committed}
        self._planner.assign(begun)
        self._claims.update((place, object()) for place in begun)
        self._pause.assigned(consumer, partitions)

    def revoked(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        for place in partitions:
            self._planner.revoke((place.topic, place.partition))
            self._claims.pop((place.topic, place.partition), None)

    def handle(self, consumer: Consumer, messages: Sequence[Message]) -> None:
        self._planner.add([to_record(message) for message in messages])
        with metrics.BATCH_SECONDS.labels(STAGE).time():
            for groups in self._planner.waves():
                try:
                    self._flush(consumer, groups)
                except PartitionsLost as lost:
                    logger.warning("a batch is dropped, the next owner of its partitions has it: %s", lost)
                    rewind(consumer, self._in_hand(groups))
                    return

    def _flush(self, consumer: Consumer, groups: Sequence[Group]) -> None:
        claims = self._claims_on(groups)
        intents = [TopicPartition(*place, offset, said) for g in groups for place, offset, said in g.intents()]
        commit(consumer, STAGE, intents)
        self._insert_all(consumer, groups, claims)
        done = [TopicPartition(*planned.place, planned.hi + 1) for group in groups for planned in group.ranges]
        commit(consumer, STAGE, done)
        for group in groups:
            metrics.RECORDS_CONSUMED.labels(STAGE, group.topic).inc(len(group.records))
        observe_lag(consumer, done)

    def _claims_on(self, groups: Sequence[Group]) -> dict[Place, object]:
        """Return the claims on the partitions of `groups`. Raises PartitionsLost where one is not ours."""
        places = [planned.place for group in groups for planned in group.ranges]
        if lost := [place for place in places if place not in self._claims]:
            raise PartitionsLost(f"{lost[0][0]}[{lost[0][1]}] is another's")
        return {place: self._claims[place] for place in places}

    def _insert_all(self, consumer: Consumer, groups: Sequence[Group], claims: Mapping[Place, object]) -> None:
        """Insert every group, however long ClickHouse is away. Raises PartitionsLost after a rebalance."""
        pending = [(group, self._insertion(group)) for group in groups]
        try:
            while pending:
                outcomes = list(self._inserters.map(self._advance, [insertion for _, insertion in pending]))
                for (group, insertion), outcome in zip(pending, outcomes, strict=True):
                    if outcome is _Outcome.DONE:
                        self._dead_letter(consumer, group, insertion.refused)
                pending = [entry for entry, outcome in zip(pending, outcomes, strict=True) if outcome != _Outcome.DONE]
                if _Outcome.AWAY in outcomes:
                    self._pause.wait(consumer)
                elif pending:
                    self._pause.poll(consumer)
                if any(self._claims.get(place) is not claim for place, claim in claims.items()):
                    raise PartitionsLost("a rebalance came while a batch was being inserted")
        finally:
            self._pause.resume(consumer)

    def _in_hand(self, groups: Sequence[Group]) -> list[TopicPartition]:
        """Return where everything begins that was read and not committed, and forget it: it is read again."""
        first = self._planner.drop()
        for group in groups:
            first.update((planned.place, planned.lo) for planned in group.ranges)
        return [TopicPartition(*place, offset) for place, offset in first.items()]

    def _insertion(self, group: Group) -> Insertion:
        lines = [record.value.strip() or b"null" for record in group.records]
        return Insertion(self._store, TABLE_OF_TOPIC[group.topic], lines, group.name)

    def _advance(self, insertion: Insertion) -> _Outcome:
        """Go on with an insertion, on a thread of its own, for as long as the consumer may go without a poll."""
        try:
            return _Outcome.DONE if insertion.run(_POLL_INTERVAL_S) else _Outcome.UNFINISHED
        except StoreUnavailable as error:
            metrics.INSERT_RETRIES.labels(insertion.table).inc()
            logger.warning("%s: ClickHouse is away, the insert is tried again: %s", insertion.table, error)
            return _Outcome.AWAY

    def _dead_letter(self, consumer: Consumer, group: Group, refused: Sequence[Refused]) -> None:
        """Send the refused rows to the dead letters, and wait until they are there."""
        records = group.records
        letters: list[Keyed] = []
        for refusal in refused:
            why = Unreadable("row_refused", refusal.detail)
            letters.append(dead_letter(records[refusal.index], STAGE, why))
            metrics.DEAD_LETTERS.labels(STAGE, why.reason).inc()
        while letters:
            try:
                self._deliveries.send({DEAD_LETTER.name: letters})
                return
            except DeliveryFailed as away:
                logger.warning("dead letters are sent again: %s", away)
                self._pause.wait(consumer)


def _begun(consumer: Consumer, committed: TopicPartition) -> Begun | None:
    """Return what a predecessor began on a partition, unless the topic no longer has it."""
    begun = parse_intent(committed.metadata or "")
    if begun is None:
        return None
    low, high = consumer.get_watermark_offsets(committed, timeout=_KAFKA_TIMEOUT_S)
    if not low <= begun.hi < high:
        return None
    metrics.INTENT_REPLAYS.inc()
    logger.info("%s[%d]: finishing the range up to %d", committed.topic, committed.partition, begun.hi)
    return begun
