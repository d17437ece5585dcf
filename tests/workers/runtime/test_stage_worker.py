"""Stage on Kafka: commits after delivery, waits during outages, drops batches of lost partitions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from confluent_kafka import KafkaError, TopicPartition

from phospho_schemas.topics import Keyed
from phospho_store.errors import StoreUnavailable
from phospho_workers.extraction.stage import Extraction
from phospho_workers.runtime.dead_letters import DeadLetterLimit
from phospho_workers.runtime.producer import DeliveryFailed, ProducerBroken
from phospho_workers.runtime.records import Record, StageOutput
from phospho_workers.runtime.stage_worker import StageWorker
from workers.runtime.kafka_fakes import FakeConsumer, FakeMessage

TOPIC = "phospho.raw-logs"
GOOD = b'{"project_id": "p", "input": "hello"}'


class RecordingProducer:
    """Producer that records batches, after some failures."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.sent: list[Mapping[str, Sequence[Keyed]]] = []

    def send(self, messages: Mapping[str, Sequence[Keyed]]) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.sent.append(messages)


class UnavailableOnce(Extraction):
    """Stage whose store is unavailable at the first batch."""

    def __init__(self) -> None:
        self.is_unavailable = True

    def __call__(self, batch: Sequence[Record]) -> StageOutput:
        if self.is_unavailable:
            self.is_unavailable = False
            raise StoreUnavailable("no definitions yet")
        return super().__call__(batch)


def worker(producer: RecordingProducer, limit: int = 100, stage: Extraction | None = None) -> StageWorker:
    return StageWorker(stage or Extraction(), producer, DeadLetterLimit(limit))  # type: ignore[arg-type]


def messages(*values: bytes, first: int = 0) -> list[FakeMessage]:
    return [FakeMessage(TOPIC, 0, first + number, value) for number, value in enumerate(values)]


def test_stage_worker_commits_after_delivery() -> None:
    consumer, producer = FakeConsumer(), RecordingProducer()

    worker(producer).handle(consumer, messages(GOOD, GOOD))  # type: ignore[arg-type]

    assert len(producer.sent) == 1
    assert consumer.commits() == [[(TOPIC, 0, 2, "")]]


@pytest.mark.parametrize("failures", [[DeliveryFailed("away")], [DeliveryFailed("away"), DeliveryFailed("still")]])
def test_stage_worker_retries_a_batch_while_kafka_is_unavailable(failures: list[Exception]) -> None:
    consumer, producer = FakeConsumer(), RecordingProducer(*failures)

    worker(producer).handle(consumer, messages(GOOD))  # type: ignore[arg-type]

    assert len(producer.sent) == 1
    assert consumer.commits() == [[(TOPIC, 0, 1, "")]]
    assert [name for name, _ in consumer.log] == ["pause", "resume", "commit"]


def test_stage_worker_retries_a_batch_while_the_store_is_unavailable() -> None:
    consumer, producer = FakeConsumer(), RecordingProducer()

    worker(producer, stage=UnavailableOnce()).handle(consumer, messages(GOOD))  # type: ignore[arg-type]

    assert consumer.commits() == [[(TOPIC, 0, 1, "")]]


def test_stage_worker_says_why_its_batch_waits_while_it_waits() -> None:
    consumer, producer = FakeConsumer(), RecordingProducer(DeliveryFailed("away"))
    stage = worker(producer)
    problems: list[str] = []
    consumer.on_poll = [lambda: problems.append(stage.problem)]

    stage.handle(consumer, messages(GOOD))  # type: ignore[arg-type]

    assert problems == ["the batch is not written: away"]
    assert stage.problem == ""


def test_stage_worker_drops_the_batch_after_a_rebalance_in_a_retry() -> None:
    consumer, producer = FakeConsumer(), RecordingProducer(DeliveryFailed("away"), DeliveryFailed("away"))
    stage = worker(producer)
    consumer.on_poll = [lambda: stage.on_assign(consumer, [TopicPartition(TOPIC, 0)])]  # type: ignore[arg-type]

    stage.handle(consumer, messages(GOOD, first=7))  # type: ignore[arg-type]

    assert consumer.commits() == []
    assert ("seek", (TOPIC, 0, 7)) in consumer.log
    assert [name for name, _ in consumer.log].count("resume") == 1


def test_stage_worker_drops_the_batch_when_a_commit_is_fenced() -> None:
    consumer = FakeConsumer(refuses=[KafkaError.ILLEGAL_GENERATION])

    worker(RecordingProducer()).handle(consumer, messages(GOOD, first=3))  # type: ignore[arg-type]

    assert consumer.log == [("seek", (TOPIC, 0, 3))]


def test_stage_worker_raises_fatal_producer_and_commit_errors() -> None:
    with pytest.raises(ProducerBroken):
        worker(RecordingProducer(ProducerBroken("fatal"))).handle(FakeConsumer(), messages(GOOD))  # type: ignore[arg-type]
    with pytest.raises(Exception, match="GROUP_AUTHORIZATION_FAILED"):
        worker(RecordingProducer()).handle(
            FakeConsumer(refuses=[KafkaError.GROUP_AUTHORIZATION_FAILED]),  # type: ignore[arg-type]
            messages(GOOD),  # type: ignore[arg-type]
        )


def test_stage_worker_repeats_a_commit_while_the_coordinator_is_away() -> None:
    consumer, producer = FakeConsumer(refuses=[KafkaError._WAIT_COORD, KafkaError.NOT_COORDINATOR]), RecordingProducer()

    worker(producer).handle(consumer, messages(GOOD))  # type: ignore[arg-type]

    assert len(producer.sent) == 1
    assert [name for name, _ in consumer.log] == ["pause", "commit", "resume"]


def test_stage_worker_stops_a_partition_of_too_many_dead_letters() -> None:
    consumer, producer = FakeConsumer(), RecordingProducer()
    stage = worker(producer, limit=5)

    stage.handle(consumer, messages(*[b"garbage"] * 3))  # type: ignore[arg-type]
    other = FakeMessage(TOPIC, 1, 0, GOOD)
    stage.handle(consumer, [*messages(*[b"garbage"] * 3, first=3), other])  # type: ignore[arg-type]
    stage.handle(consumer, messages(b"garbage", first=6))  # type: ignore[arg-type]

    assert consumer.committed_at == {(TOPIC, 0): (3, "phospho-dead-letters 3"), (TOPIC, 1): (1, "")}
    assert [sorted(batch) for batch in producer.sent] == [["phospho.dead-letter"], ["phospho.tasks"], []]
    assert consumer.log[1:3] == [("seek", (TOPIC, 0, 3)), ("pause", 1)]
    assert "phospho.raw-logs[0]" in stage.problem


def test_stopped_partition_stays_paused_after_an_outage() -> None:
    consumer, producer = FakeConsumer(), RecordingProducer()
    consumer.assigned = [(TOPIC, 0), (TOPIC, 1)]
    stage = worker(producer, limit=1)
    stage.handle(consumer, messages(b"garbage", b"garbage"))  # type: ignore[arg-type]
    producer.failures = [DeliveryFailed("away")]

    stage.handle(consumer, [FakeMessage(TOPIC, 1, 0, GOOD)])  # type: ignore[arg-type]

    assert [arguments for name, arguments in consumer.log if name == "resume"] == [1]


def test_partition_revoked_during_a_pause_is_read_when_it_returns() -> None:
    consumer, producer = FakeConsumer(assigned=[(TOPIC, 0)]), RecordingProducer(DeliveryFailed("away"))
    stage = worker(producer)

    def revoke() -> None:
        stage.on_revoke(consumer, [TopicPartition(TOPIC, 0)])  # type: ignore[arg-type]
        consumer.assigned = []

    consumer.on_poll = [revoke]
    stage.handle(consumer, messages(GOOD))  # type: ignore[arg-type]
    assert consumer.paused == {(TOPIC, 0)}

    stage.on_assign(consumer, [TopicPartition(TOPIC, 0)])  # type: ignore[arg-type]

    assert consumer.paused == set()


def test_dead_letter_limit_survives_a_restart() -> None:
    """A worker in a restart loop must not dead-letter the whole topic piece by piece."""
    consumer = FakeConsumer()
    worker(RecordingProducer(), limit=5).handle(consumer, messages(*[b"garbage"] * 4))  # type: ignore[arg-type]

    restarted = worker(RecordingProducer(), limit=5)
    restarted.on_assign(consumer, [TopicPartition(TOPIC, 0)])  # type: ignore[arg-type]
    restarted.handle(consumer, messages(*[b"garbage"] * 2, first=4))  # type: ignore[arg-type]

    assert consumer.committed_at[TOPIC, 0][0] == 4
    assert restarted.problem


def test_dead_letter_limit_counts_a_repeated_batch_once() -> None:
    consumer, stage = FakeConsumer(), worker(RecordingProducer(*[DeliveryFailed("away")] * 2), limit=5)

    stage.handle(consumer, messages(*[b"garbage"] * 3))  # type: ignore[arg-type]

    assert consumer.committed_at == {(TOPIC, 0): (3, "phospho-dead-letters 3")}


def test_dead_letter_limit_is_reset_by_a_good_record() -> None:
    consumer, stage = FakeConsumer(), worker(RecordingProducer(), limit=5)

    for first in range(0, 20, 4):
        stage.handle(consumer, messages(b"garbage", b"garbage", b"garbage", GOOD, first=first))  # type: ignore[arg-type]

    assert consumer.committed_at[TOPIC, 0] == (20, "")
