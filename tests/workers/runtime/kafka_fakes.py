"""Consumer and messages in memory, for rebalances between two calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from phospho_workers.runtime.records import Partition


@dataclass
class FakeMessage:
    """The part of a confluent_kafka message that the workers read."""

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
    Consumer that stores commits as Kafka does and logs its calls. As librdkafka does, it keeps a partition in `paused`
    when that is revoked.

    `on_poll` are callbacks of the next polls, such as a rebalance. `refuses` are the errors of the next commits.
    """

    committed_at: dict[Partition, tuple[int, str]] = field(default_factory=dict)
    log: list[tuple[str, object]] = field(default_factory=list)
    on_poll: list[Callable[[], object]] = field(default_factory=list)
    refuses: list[int] = field(default_factory=list)
    ends: dict[Partition, tuple[int, int]] = field(default_factory=dict)
    assigned: list[Partition] = field(default_factory=list)
    paused: set[Partition] = field(default_factory=set)

    def commit(self, offsets: Sequence[TopicPartition], asynchronous: bool) -> list[TopicPartition]:
        assert not asynchronous
        if self.refuses:
            raise KafkaException(KafkaError(self.refuses.pop(0)))
        for offset in offsets:
            self.committed_at[offset.topic, offset.partition] = (offset.offset, offset.metadata or "")
        self.log.append(("commit", [(p.topic, p.partition, p.offset, p.metadata or "") for p in offsets]))
        return list(offsets)

    def committed(self, partitions: Sequence[TopicPartition], timeout: float) -> list[TopicPartition]:
        committed = [self.committed_at.get((p.topic, p.partition), (-1001, "")) for p in partitions]
        return [TopicPartition(p.topic, p.partition, *offset) for p, offset in zip(partitions, committed, strict=True)]

    def get_watermark_offsets(
        self, partition: TopicPartition, timeout: float = 0, cached: bool = False
    ) -> tuple[int, int]:
        return self.ends.get((partition.topic, partition.partition), (0, 1_000_000))

    def assignment(self) -> list[TopicPartition]:
        return [TopicPartition(*partition) for partition in self.assigned]

    def pause(self, partitions: Sequence[TopicPartition]) -> None:
        self.paused |= {(partition.topic, partition.partition) for partition in partitions}
        self.log.append(("pause", len(partitions)))

    def resume(self, partitions: Sequence[TopicPartition]) -> None:
        self.paused -= {(partition.topic, partition.partition) for partition in partitions}
        self.log.append(("resume", len(partitions)))

    def assign(self, partitions: Sequence[TopicPartition]) -> None:
        self.assigned = [(partition.topic, partition.partition) for partition in partitions]
        self.log.append(("assign", len(partitions)))

    def seek(self, position: TopicPartition) -> None:
        self.log.append(("seek", (position.topic, position.partition, position.offset)))

    def poll(self, timeout: float) -> None:
        if self.on_poll:
            self.on_poll.pop(0)()

    def commits(self) -> list[object]:
        return [arguments for name, arguments in self.log if name == "commit"]
