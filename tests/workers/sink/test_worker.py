"""The sink's protocol under outages, rebalances, refusals and crashes between its steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import pytest
from confluent_kafka import KafkaError, TopicPartition

from phospho_schemas.topics import Keyed
from phospho_store.errors import StatementRefused, StoreUnavailable
from phospho_workers.runtime.producer import DeliveryFailed
from phospho_workers.sink.planner import MAX_INSERT_BYTES
from phospho_workers.sink.worker import SinkWorker
from workers.runtime.kafka_fakes import FakeConsumer, FakeMessage

TASKS = "phospho.tasks"
BAD = b"bad"


class RecordingStore:
    """
    Store that records inserts and refuses those with a bad row, and probes.

    `outages`: number of first statements that find it unavailable. `refusing`: number of statements that it refuses
    with an unknown code. `log` gets an entry for each insert.
    """

    def __init__(self, outages: int = 0, refusing: int = 0, log: list[tuple[str, object]] | None = None) -> None:
        self.log = [] if log is None else log
        self.outages = outages
        self.refusing = refusing
        self.inserts: list[tuple[str, bytes, str]] = []
        self.is_exclusive = False

    def writes(self, tables: Iterable[str]) -> int:
        return 0

    def rows(self, sql: str) -> list[dict[str, int]]:
        """Return the state of the table of tombstones, which is empty."""
        return [{"count": 0, "revision": 0}]

    def insert(self, table: str, lines: bytes, token: str = "") -> None:
        if self.outages:
            self.outages -= 1
            raise StoreUnavailable("away")
        if self.refusing:
            self.refusing -= 1
            raise StatementRefused("SOMETHING_NEW", 99_999)
        if b'"schema_version":0' in lines:
            raise StatementRefused("VIOLATED_CONSTRAINT", 469)
        if BAD in lines:
            raise StatementRefused("CANNOT_PARSE", 27)
        self.inserts.append((table, lines, token))
        self.log.append(("insert", table))


class RecordingProducer:
    def __init__(self) -> None:
        self.sent: list[Mapping[str, Sequence[Keyed]]] = []

    def send(self, messages: Mapping[str, Sequence[Keyed]]) -> None:
        self.sent.append(messages)


def partitions_of(*partitions: int) -> list[TopicPartition]:
    return [TopicPartition(TASKS, partition) for partition in partitions]


def message(offset: int, partition: int = 0, value: bytes = b"{}") -> FakeMessage:
    return FakeMessage(TASKS, partition, offset, value)


@pytest.fixture
def consumer() -> FakeConsumer:
    return FakeConsumer()


@pytest.fixture
def producer() -> RecordingProducer:
    return RecordingProducer()


Sink = Callable[..., SinkWorker]


@pytest.fixture
def sink_on(consumer: FakeConsumer, producer: RecordingProducer) -> Sink:
    def sink(store: RecordingStore, *partitions: int) -> SinkWorker:
        worker = SinkWorker(store, producer)  # type: ignore[arg-type]
        worker.on_assign(consumer, partitions_of(*partitions))  # type: ignore[arg-type]
        consumer.log.clear()
        return worker

    return sink


def test_sink_commits_the_intent_first_and_the_end_last(sink_on: Sink, consumer: FakeConsumer) -> None:
    store = RecordingStore(log=consumer.log)

    sink_on(store, 0, 1).handle(consumer, [message(4), message(9, 1), message(5)])

    assert [name for name, _ in consumer.log] == ["commit", "insert", "commit"]
    intent, done = consumer.commits()
    assert [offset[:3] for offset in intent] == [(TASKS, 0, 4), (TASKS, 1, 9)]  # type: ignore[attr-defined]
    assert done == [(TASKS, 0, 6, ""), (TASKS, 1, 10, "")]
    assert [table for table, _, _ in store.inserts] == ["task_rows"]


def test_sink_repeats_a_started_insert_under_the_same_token(sink_on: Sink, consumer: FakeConsumer) -> None:
    """The predecessor died between the insert and the last commit."""
    first, second = RecordingStore(), RecordingStore()
    sink_on(first, 0, 1).handle(consumer, [message(0), message(0, 1), message(1)])
    intent = consumer.commits()[0]
    consumer.committed_at = {(t, p): (offset, metadata) for t, p, offset, metadata in intent}  # type: ignore[attr-defined]

    successor = sink_on(second, 0, 1)
    successor.handle(consumer, [message(0), message(1), message(2)])
    successor.handle(consumer, [message(0, 1), message(1, 1)])

    assert second.inserts[0] == first.inserts[0]
    assert consumer.committed_at == {(TASKS, 0): (3, ""), (TASKS, 1): (2, "")}


def test_sink_inserts_nothing_when_it_is_fenced(sink_on: Sink, consumer: FakeConsumer) -> None:
    store = RecordingStore()
    sink = sink_on(store, 0)
    consumer.refuses = [KafkaError.ILLEGAL_GENERATION]

    sink.handle(consumer, [message(4), message(5)])

    assert store.inserts == []
    assert consumer.commits() == []
    assert ("seek", (TASKS, 0, 4)) in consumer.log


def test_sink_repeats_a_commit_while_the_coordinator_is_away(sink_on: Sink, consumer: FakeConsumer) -> None:
    store = RecordingStore()
    sink = sink_on(store, 0)
    consumer.refuses = [KafkaError.COORDINATOR_LOAD_IN_PROGRESS, KafkaError._TRANSPORT]

    sink.handle(consumer, [message(4)])

    assert len(store.inserts) == 1
    assert consumer.committed_at == {(TASKS, 0): (5, "")}


def test_sink_drops_a_batch_whose_partition_goes_during_a_commit(sink_on: Sink, consumer: FakeConsumer) -> None:
    store = RecordingStore()
    sink = sink_on(store, 0)
    consumer.refuses = [KafkaError.NOT_COORDINATOR]
    consumer.on_poll = [lambda: sink.on_revoke(consumer, partitions_of(0))]

    sink.handle(consumer, [message(4)])

    assert store.inserts == []
    assert consumer.commits() == []


def test_sink_drops_a_batch_from_before_a_revocation(sink_on: Sink, consumer: FakeConsumer) -> None:
    store = RecordingStore()
    sink = sink_on(store, 0)
    sink.on_revoke(consumer, partitions_of(0))

    sink.handle(consumer, [message(4)])

    assert store.inserts == []
    assert consumer.commits() == []


def test_sink_pauses_and_retries_while_clickhouse_is_unavailable(sink_on: Sink, consumer: FakeConsumer) -> None:
    store = RecordingStore(outages=3)

    sink_on(store, 0).handle(consumer, [message(0)])

    assert len(store.inserts) == 1
    assert [name for name, _ in consumer.log] == ["commit", "pause", "resume", "commit"]


def test_sink_drops_the_batch_after_a_rebalance_in_an_outage(sink_on: Sink, consumer: FakeConsumer) -> None:
    """The partition comes back, but another sink had it in between."""
    store = RecordingStore(outages=2)
    sink = sink_on(store, 0)

    def rebalance() -> None:
        sink.on_revoke(consumer, partitions_of(0))
        consumer.committed_at = {(TASKS, 0): (1, "")}  # another sink had it, and did offset 0
        sink.on_assign(consumer, partitions_of(0))

    consumer.on_poll = [rebalance]
    sink.handle(consumer, [message(0)])
    assert store.inserts == []
    assert [name for name, _ in consumer.log][-2:] == ["resume", "seek"]

    store.outages = 0
    sink.handle(consumer, [message(1)])

    assert len(store.inserts) == 1
    assert consumer.committed_at == {(TASKS, 0): (2, "")}


def test_sink_ignores_an_intent_whose_records_are_gone(sink_on: Sink, consumer: FakeConsumer) -> None:
    consumer.committed_at = {(TASKS, 0): (5, "phospho-intent-1 9 abc 1")}
    consumer.ends = {(TASKS, 0): (20, 30)}
    store = RecordingStore()

    sink_on(store, 0).handle(consumer, [message(20)])

    assert len(store.inserts) == 1


def test_sink_dead_letters_a_refused_row(sink_on: Sink, consumer: FakeConsumer, producer: RecordingProducer) -> None:
    store = RecordingStore()

    sink_on(store, 0).handle(consumer, [message(0), message(1, value=BAD), message(2)])

    assert [len(batch["phospho.dead-letter"]) for batch in producer.sent] == [1]
    assert sum(len(lines.splitlines()) for _, lines, _ in store.inserts) == 2


def test_sink_sends_dead_letters_again_while_the_broker_is_full(consumer: FakeConsumer) -> None:
    """Nothing is committed beyond the intent before Kafka has them."""

    class FullProducer(RecordingProducer):
        failures = 2

        def send(self, messages: Mapping[str, Sequence[Keyed]]) -> None:
            if self.failures:
                self.failures -= 1
                assert consumer.committed_at[TASKS, 0][0] == 0
                raise DeliveryFailed("the producer's queue stayed full")
            super().send(messages)

    producer = FullProducer()
    sink = SinkWorker(RecordingStore(), producer)  # type: ignore[arg-type]
    sink.on_assign(consumer, partitions_of(0))  # type: ignore[arg-type]

    sink.handle(consumer, [message(0, value=BAD), message(1)])  # type: ignore[arg-type]

    assert [len(batch["phospho.dead-letter"]) for batch in producer.sent] == [1]
    assert consumer.committed_at == {(TASKS, 0): (2, "")}


def test_sink_repeats_an_insert_that_timed_out_under_its_token(sink_on: Sink, consumer: FakeConsumer) -> None:
    """A slow ClickHouse stores the rows after the sink has given up on the answer."""

    class SlowStore(RecordingStore):
        timeouts = 1

        def insert(self, table: str, lines: bytes, token: str = "") -> None:
            super().insert(table, lines, token)
            if self.timeouts:
                self.timeouts -= 1
                raise StoreUnavailable("timed out")

    store = SlowStore()
    sink_on(store, 0).handle(consumer, [message(0)])

    first, second = store.inserts
    assert first == second
    assert first[2]
    assert consumer.committed_at == {(TASKS, 0): (1, "")}


def test_sink_dead_letters_3000_bad_rows_and_goes_on(
    sink_on: Sink, consumer: FakeConsumer, producer: RecordingProducer
) -> None:
    bad = [message(offset, value=BAD) for offset in range(3000)]

    sink_on(RecordingStore(), 0).handle(consumer, [*bad, message(3000)])

    assert sum(len(batch["phospho.dead-letter"]) for batch in producer.sent) == 3000
    assert consumer.committed_at == {(TASKS, 0): (3001, "")}


def test_sink_waits_while_the_table_refuses_good_rows(
    sink_on: Sink, consumer: FakeConsumer, producer: RecordingProducer
) -> None:
    store = RecordingStore(refusing=7)

    sink_on(store, 0).handle(consumer, [message(0), message(1)])

    assert producer.sent == []
    assert [name for name, _ in consumer.log] == ["commit", "pause", "resume", "commit"]
    assert b"\n".join(lines for _, lines, _ in store.inserts).split() == [b"{}", b"{}"]


def test_sink_polls_while_it_bisects(
    sink_on: Sink, consumer: FakeConsumer, producer: RecordingProducer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rebalance is heard between two statements, and nothing is written after it."""
    monkeypatch.setattr("phospho_workers.sink.worker._POLL_INTERVAL_S", 0.0)
    store = RecordingStore()
    sink = sink_on(store, 0)
    consumer.on_poll = [lambda: None, lambda: sink.on_revoke(consumer, partitions_of(0))]

    sink.handle(consumer, [message(0, value=BAD), *(message(offset) for offset in range(1, 8))])

    assert store.inserts == []
    assert producer.sent == []
    assert consumer.committed_at == {(TASKS, 0): (0, consumer.committed_at[TASKS, 0][1])}


def test_sink_inserts_a_large_batch_in_bounded_groups(sink_on: Sink, consumer: FakeConsumer) -> None:
    store = RecordingStore()
    value = b'{"input": "%s"}' % (b"x" * 1_000_000)

    sink_on(store, 0, 1).handle(consumer, [message(offset, offset % 2, value) for offset in range(100)])

    assert max(len(lines) for _, lines, _ in store.inserts) <= MAX_INSERT_BYTES
    assert sum(lines.count(b"\n") + 1 for _, lines, _ in store.inserts) == 100
    assert consumer.committed_at == {(TASKS, 0): (99, ""), (TASKS, 1): (100, "")}


def test_sink_splits_a_large_started_range_the_same_way(sink_on: Sink, consumer: FakeConsumer) -> None:
    """A predecessor without the bound began 70 MB: each successor inserts them under the same tokens."""
    value = b'{"input": "%s"}' % (b"x" * 1_000_000)
    tokens = []
    for _ in range(2):
        store = RecordingStore()
        consumer.committed_at = {(TASKS, 0): (0, "phospho-intent-1 69 abc 1")}
        sink_on(store, 0).handle(consumer, [message(offset, value=value) for offset in range(70)])
        tokens.append([token for _, _, token in store.inserts])
        assert max(len(lines) for _, lines, _ in store.inserts) <= MAX_INSERT_BYTES

    assert tokens[0] == tokens[1]
    assert len(tokens[0]) == 3


def test_sink_raises_for_an_unknown_intent(sink_on: Sink, consumer: FakeConsumer) -> None:
    consumer.committed_at = {(TASKS, 0): (5, "written by another sink")}

    with pytest.raises(Exception, match="unknown kind"):
        sink_on(RecordingStore(), 0)
