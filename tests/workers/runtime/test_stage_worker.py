"""A stage on Kafka: commit after the effect, wait where something is away, drop what is another's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from confluent_kafka import KafkaError, TopicPartition

from phospho_schemas.records import Keyed
from phospho_store.errors import StoreUnavailable
from phospho_workers.extraction.stage import Extraction
from phospho_workers.runtime.deliveries import DeliveryFailed, ProducerBroken
from phospho_workers.runtime.records import Output, Record
from phospho_workers.runtime.worker import StageWorker, TooManyUnreadable, UnreadableLimit
from workers.runtime.kafka_fakes import FakeConsumer, FakeMessage

TOPIC = "phospho.raw-logs"
GOOD = b'{"project_id": "p", "input": "hello"}'


class RecordingDeliveries:
    """Takes batches, after failing as often as it is told to."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.sent: list[Mapping[str, Sequence[Keyed]]] = []

    def send(self, messages: Mapping[str, Sequence[Keyed]]) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.sent.append(messages)


class AwayOnce(Extraction):
    """A stage whose store is away at the first batch."""

    def __init__(self) -> None:
        self.is_away = True

    def __call__(self, batch: Sequence[Record]) -> Output:
        if self.is_away:
            self.is_away = False
            raise StoreUnavailable("no definitions yet")
        return super().__call__(batch)


def worker(deliveries: RecordingDeliveries, limit: int = 100, stage: Extraction | None = None) -> StageWorker:
    return StageWorker(stage or Extraction(), deliveries, UnreadableLimit(limit))  # type: ignore[arg-type]


def messages(*values: bytes, first: int = 0) -> list[FakeMessage]:
    return [FakeMessage(TOPIC, 0, first + number, value) for number, value in enumerate(values)]


def test_a_batch_is_committed_after_its_delivery() -> None:
    consumer, deliveries = FakeConsumer(), RecordingDeliveries()

    worker(deliveries).handle(consumer, messages(GOOD, GOOD))  # type: ignore[arg-type]

    assert len(deliveries.sent) == 1
    assert consumer.commits() == [[(TOPIC, 0, 2, "")]]


@pytest.mark.parametrize("failures", [[DeliveryFailed("away")], [DeliveryFailed("away"), DeliveryFailed("still")]])
def test_while_kafka_is_away_the_same_batch_waits_and_is_committed_once(failures: list[Exception]) -> None:
    consumer, deliveries = FakeConsumer(), RecordingDeliveries(*failures)

    worker(deliveries).handle(consumer, messages(GOOD))  # type: ignore[arg-type]

    assert len(deliveries.sent) == 1
    assert consumer.commits() == [[(TOPIC, 0, 1, "")]]
    assert [what for what, _ in consumer.log] == ["pause", "resume", "commit"]


def test_while_the_store_is_away_the_batch_waits() -> None:
    consumer, deliveries = FakeConsumer(), RecordingDeliveries()

    worker(deliveries, stage=AwayOnce()).handle(consumer, messages(GOOD))  # type: ignore[arg-type]

    assert consumer.commits() == [[(TOPIC, 0, 1, "")]]


def test_a_rebalance_while_it_waits_drops_the_batch_and_commits_nothing() -> None:
    consumer, deliveries = FakeConsumer(), RecordingDeliveries(DeliveryFailed("away"), DeliveryFailed("away"))
    stage = worker(deliveries)
    consumer.on_poll = [lambda: stage.assigned(consumer, [TopicPartition(TOPIC, 0)])]  # type: ignore[arg-type]

    stage.handle(consumer, messages(GOOD, first=7))  # type: ignore[arg-type]

    assert consumer.commits() == []
    assert ("seek", (TOPIC, 0, 7)) in consumer.log
    assert [what for what, _ in consumer.log].count("resume") == 1


def test_a_commit_by_who_is_no_owner_drops_the_batch() -> None:
    consumer = FakeConsumer(refuses=[KafkaError.ILLEGAL_GENERATION])

    worker(RecordingDeliveries()).handle(consumer, messages(GOOD, first=3))  # type: ignore[arg-type]

    assert consumer.log == [("seek", (TOPIC, 0, 3))]


def test_a_broken_producer_and_an_unknown_failure_of_a_commit_end_the_process() -> None:
    with pytest.raises(ProducerBroken):
        worker(RecordingDeliveries(ProducerBroken("fatal"))).handle(FakeConsumer(), messages(GOOD))  # type: ignore[arg-type]
    with pytest.raises(Exception, match="COORDINATOR"):
        worker(RecordingDeliveries()).handle(
            FakeConsumer(refuses=[KafkaError.COORDINATOR_NOT_AVAILABLE]),  # type: ignore[arg-type]
            messages(GOOD),  # type: ignore[arg-type]
        )


def test_too_many_unreadable_in_a_row_end_the_process_before_they_are_dead_lettered() -> None:
    consumer, deliveries = FakeConsumer(), RecordingDeliveries()
    stage = worker(deliveries, limit=5)

    stage.handle(consumer, messages(*[b"garbage"] * 3))  # type: ignore[arg-type]
    with pytest.raises(TooManyUnreadable, match="6 records in a row"):
        stage.handle(consumer, messages(*[b"garbage"] * 3, first=3))  # type: ignore[arg-type]

    assert consumer.committed_at[TOPIC, 0][0] == 3
    assert len(deliveries.sent) == 1


def test_the_row_of_unreadable_records_outlives_the_process() -> None:
    """Else a worker that is restarted for ever sends the whole topic to the dead letters, piece by piece."""
    consumer = FakeConsumer()
    worker(RecordingDeliveries(), limit=5).handle(consumer, messages(*[b"garbage"] * 4))  # type: ignore[arg-type]

    restarted = worker(RecordingDeliveries(), limit=5)
    restarted.assigned(consumer, [TopicPartition(TOPIC, 0)])  # type: ignore[arg-type]
    with pytest.raises(TooManyUnreadable):
        restarted.handle(consumer, messages(*[b"garbage"] * 2, first=4))  # type: ignore[arg-type]

    assert consumer.committed_at[TOPIC, 0][0] == 4


def test_a_readable_record_ends_the_row() -> None:
    consumer, stage = FakeConsumer(), worker(RecordingDeliveries(), limit=5)

    for first in range(0, 20, 4):
        stage.handle(consumer, messages(b"garbage", b"garbage", b"garbage", GOOD, first=first))  # type: ignore[arg-type]

    assert consumer.committed_at[TOPIC, 0] == (20, "")
