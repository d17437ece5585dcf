"""A consumer and what comes out of it, small and in memory: for what a rebalance does between two calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from confluent_kafka import KafkaError, KafkaException, TopicPartition

Place = tuple[str, int]


@dataclass
class FakeMessage:
    """A message as confluent_kafka has it, as far as the workers read it."""

    of_topic: str
    of_partition: int
    of_offset: int
    of_value: bytes = b"{}"

    def topic(self) -> str:
        return self.of_topic

    def partition(self) -> int:
        return self.of_partition

    def offset(self) -> int:
        return self.of_offset

    def timestamp(self) -> tuple[int, int]:
        return 1, 1_790_000_000_000

    def key(self) -> bytes:
        return b"key"

    def value(self) -> bytes:
        return self.of_value

    def headers(self) -> None:
        return None

    def error(self) -> None:
        return None


@dataclass
class FakeConsumer:
    """
    Remembers commits as Kafka does, and what it was asked for.

    `on_poll` is what happens at the next polls, such as a rebalance. `refuses` is the error of the next commits.
    """

    committed_at: dict[Place, tuple[int, str]] = field(default_factory=dict)
    log: list[tuple[str, object]] = field(default_factory=list)
    on_poll: list[object] = field(default_factory=list)
    refuses: list[int] = field(default_factory=list)
    ends: dict[Place, tuple[int, int]] = field(default_factory=dict)

    def commit(self, offsets: Sequence[TopicPartition], asynchronous: bool) -> list[TopicPartition]:
        assert not asynchronous
        if self.refuses:
            raise KafkaException(KafkaError(self.refuses.pop(0)))
        for place in offsets:
            self.committed_at[place.topic, place.partition] = (place.offset, place.metadata or "")
        self.log.append(("commit", [(p.topic, p.partition, p.offset, p.metadata or "") for p in offsets]))
        return list(offsets)

    def committed(self, partitions: Sequence[TopicPartition], timeout: float) -> list[TopicPartition]:
        known = [self.committed_at.get((p.topic, p.partition), (-1001, "")) for p in partitions]
        return [TopicPartition(p.topic, p.partition, *said) for p, said in zip(partitions, known, strict=True)]

    def get_watermark_offsets(self, place: TopicPartition, timeout: float = 0, cached: bool = False) -> tuple[int, int]:
        return self.ends.get((place.topic, place.partition), (0, 1_000_000))

    def assignment(self) -> list[TopicPartition]:
        return []

    def pause(self, partitions: Sequence[TopicPartition]) -> None:
        self.log.append(("pause", len(partitions)))

    def resume(self, partitions: Sequence[TopicPartition]) -> None:
        self.log.append(("resume", len(partitions)))

    def assign(self, partitions: Sequence[TopicPartition]) -> None:
        self.log.append(("assign", len(partitions)))

    def seek(self, place: TopicPartition) -> None:
        self.log.append(("seek", (place.topic, place.partition, place.offset)))

    def poll(self, timeout: float) -> None:
        if self.on_poll:
            happening = self.on_poll.pop(0)
            assert callable(happening)
            happening()

    def commits(self) -> list[object]:
        return [said for what, said in self.log if what == "commit"]
