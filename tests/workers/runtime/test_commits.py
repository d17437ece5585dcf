"""Commits, which wait for a broker that restarts and stop for a partition that is lost."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from phospho_workers.runtime.backoff import PollingBackoff
from phospho_workers.runtime.commits import PartitionsLost, commit, committed_offsets, watermarks
from workers.runtime.kafka_fakes import FakeConsumer

OFFSETS = [TopicPartition("phospho.tasks", 0, 7)]
# What Kafka's protocol calls retriable for a consumer, and librdkafka's names for a broker that is away.
TRANSIENT = [
    "COORDINATOR_LOAD_IN_PROGRESS",
    "COORDINATOR_NOT_AVAILABLE",
    "NOT_COORDINATOR",
    "REQUEST_TIMED_OUT",
    "NETWORK_EXCEPTION",
    "LEADER_NOT_AVAILABLE",
    "NOT_LEADER_FOR_PARTITION",
    "REPLICA_NOT_AVAILABLE",
    "NOT_ENOUGH_REPLICAS",
    "BROKER_NOT_AVAILABLE",
    "NOT_ENOUGH_REPLICAS_AFTER_APPEND",
    "KAFKA_STORAGE_ERROR",
    "UNSTABLE_OFFSET_COMMIT",
    "THROTTLING_QUOTA_EXCEEDED",
    "OFFSET_NOT_AVAILABLE",
    "FENCED_LEADER_EPOCH",
    "UNKNOWN_LEADER_EPOCH",
    "_WAIT_COORD",
    "_TRANSPORT",
    "_ALL_BROKERS_DOWN",
    "_TIMED_OUT",
    "_TIMED_OUT_QUEUE",
    "_RESOLVE",
    "_RETRY",
    "_IN_PROGRESS",
    "_PREV_IN_PROGRESS",
]


@pytest.fixture(autouse=True)
def _no_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("phospho_workers.runtime.backoff._FIRST_BACKOFF_S", 0.001)
    monkeypatch.setattr("phospho_workers.runtime.commits._OFFSETS_BACKOFF_S", 0.0)


def commit_on(consumer: FakeConsumer) -> None:
    commit(consumer, "sink", OFFSETS, backoff=PollingBackoff(), check_ownership=lambda: None)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", TRANSIENT)
def test_commit_is_repeated_after_a_transient_error(name: str) -> None:
    consumer = FakeConsumer(refuses=[getattr(KafkaError, name)] * 2)

    commit_on(consumer)

    assert [call for call, _ in consumer.log] == ["pause", "commit", "resume"]


@pytest.mark.parametrize(
    "name", ["ILLEGAL_GENERATION", "UNKNOWN_MEMBER_ID", "FENCED_INSTANCE_ID", "UNKNOWN_TOPIC_OR_PART", "_STATE"]
)
def test_commit_of_a_lost_partition_is_not_repeated(name: str) -> None:
    consumer = FakeConsumer(refuses=[getattr(KafkaError, name)])

    with pytest.raises(PartitionsLost):
        commit_on(consumer)

    assert consumer.commits() == []


@pytest.mark.parametrize("name", ["GROUP_AUTHORIZATION_FAILED", "OFFSET_METADATA_TOO_LARGE", "INVALID_GROUP_ID"])
def test_commit_raises_an_error_that_stays(name: str) -> None:
    with pytest.raises(KafkaException, match=name):
        commit_on(FakeConsumer(refuses=[getattr(KafkaError, name)]))


class StartingBroker(FakeConsumer):
    """Consumer of a broker that answers the third request for offsets."""

    requests = 0

    def _answer(self) -> None:
        self.requests += 1
        if self.requests < 3:
            raise KafkaException(KafkaError(KafkaError.COORDINATOR_LOAD_IN_PROGRESS))

    def committed(self, partitions: object, timeout: float) -> list[TopicPartition]:
        self._answer()
        return OFFSETS

    def get_watermark_offsets(
        self, partition: TopicPartition, timeout: float = 0, cached: bool = False
    ) -> tuple[int, int]:
        self._answer()
        return 1, 9


def test_offsets_of_an_assignment_wait_for_the_broker() -> None:
    assert committed_offsets(StartingBroker(), OFFSETS) == OFFSETS  # type: ignore[arg-type]
    assert watermarks(StartingBroker(), OFFSETS[0]) == (1, 9)  # type: ignore[arg-type]
