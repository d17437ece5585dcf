"""Backlogs: topics filled to a known end, groups set back to their beginning, and commits watched from outside."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from benchmarks.processes import BenchmarkFailed
from phospho_schemas.kafka import KafkaSettings
from phospho_schemas.topics import Keyed
from phospho_workers.runtime.producer import BatchProducer, producer_config

T = TypeVar("T")

_TIMEOUT_S = 30.0
_WATCH_S = 0.01
_RETRY_S = 0.2
_FILL_BATCH = 10_000


@dataclass(frozen=True)
class Backlog:
    """The messages of a topic, by partition: the first offset, and the one after the last."""

    topic: str
    bounds: Mapping[int, tuple[int, int]]

    @property
    def messages(self) -> int:
        return sum(end - begin for begin, end in self.bounds.values())


@dataclass(frozen=True)
class Drained:
    """The part of a backlog that a consumer read while it was watched: messages, seconds, CPU seconds by process."""

    messages: int
    wall_s: float
    cpu_s: Mapping[str, float]

    @property
    def per_s(self) -> float:
        return self.messages / self.wall_s

    def per_cpu_s(self, *processes: str) -> float:
        """Return the messages for each CPU second of the named processes."""
        return self.messages / sum(self.cpu_s[name] for name in processes)


class Offsets:
    """Topics and groups of one broker, from the outside."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._servers = bootstrap_servers
        self._admin = AdminClient({"bootstrap.servers": bootstrap_servers})

    def fill(self, topic: str, messages: Sequence[Keyed]) -> Backlog:
        """Empty a topic and put `messages` into it."""
        self.empty(topic)
        producer = BatchProducer(Producer(producer_config(KafkaSettings(self._servers))), "bench")
        for begin in range(0, len(messages), _FILL_BATCH):
            producer.send({topic: messages[begin : begin + _FILL_BATCH]})
        return self.backlog(topic)

    def empty(self, topic: str) -> None:
        """Delete every message of a topic; its offsets go on."""
        ends = [TopicPartition(topic, partition, end) for partition, (_, end) in self.backlog(topic).bounds.items()]
        for future in self._admin.delete_records(ends, operation_timeout=_TIMEOUT_S).values():
            future.result(_TIMEOUT_S)

    def backlog(self, topic: str) -> Backlog:
        """Return what a topic holds now; a topic that was just made has no leaders yet, and is waited for."""
        consumer = Consumer({"bootstrap.servers": self._servers, "group.id": "bench-offsets"})
        try:
            return Backlog(topic, _retried(lambda: _bounds(consumer, topic), f"{topic} could not be read"))
        finally:
            consumer.close()

    def set_back(self, group: str, backlogs: Sequence[Backlog]) -> None:
        """Commit the first offset of every partition for a group, as soon as its last member has left."""
        places = [TopicPartition(one.topic, p, begin) for one in backlogs for p, (begin, _) in one.bounds.items()]
        request = [ConsumerGroupTopicPartitions(group, places)]

        def alter() -> None:
            for future in self._admin.alter_consumer_group_offsets(request).values():
                future.result(_TIMEOUT_S)

        _retried(alter, f"{group} could not be set back")

    def watch(
        self,
        group: str,
        backlog: Backlog,
        cpu_s: Callable[[], Mapping[str, float]],
        timeout_s: float,
        from_first_commit: bool = True,
    ) -> Drained:
        """
        Return what happened until `group` has committed the last message.

        It begins at the first commit that moves the group forward; or now, for a group of few and large batches.
        """
        consumer = Consumer({"bootstrap.servers": self._servers, "group.id": group, "enable.auto.commit": False})
        try:
            first = self._next_commit(consumer, backlog, 0, timeout_s) if from_first_commit else 0
            first_s, first_cpu_s, done = time.monotonic(), cpu_s(), first
            while done < backlog.messages:
                done = self._next_commit(consumer, backlog, done, timeout_s)
            wall_s, last_cpu_s = time.monotonic() - first_s, cpu_s()
        finally:
            consumer.close()
        return Drained(done - first, wall_s, {name: last_cpu_s[name] - first_cpu_s[name] for name in last_cpu_s})

    def _next_commit(self, consumer: Consumer, backlog: Backlog, known: int, timeout_s: float) -> int:
        """Wait until more than `known` messages are committed; return how many."""
        deadline_s = time.monotonic() + timeout_s
        while (done := _committed(consumer, backlog)) <= known:
            if time.monotonic() > deadline_s:
                raise BenchmarkFailed(f"{backlog.topic}: stuck at {done} of {backlog.messages} messages")
            time.sleep(_WATCH_S)
        return done


def _bounds(consumer: Consumer, topic: str) -> dict[int, tuple[int, int]]:
    partitions = consumer.list_topics(topic, _TIMEOUT_S).topics[topic].partitions
    return {p: consumer.get_watermark_offsets(TopicPartition(topic, p), _TIMEOUT_S) for p in partitions}


def _retried(ask: Callable[[], T], otherwise: str) -> T:
    """Return what `ask` returns, once Kafka does not refuse it. Raises BenchmarkFailed after 30 s."""
    deadline_s = time.monotonic() + _TIMEOUT_S
    while True:
        try:
            return ask()
        except KafkaException as error:
            if time.monotonic() > deadline_s:
                raise BenchmarkFailed(f"{otherwise}: {error}") from error
            time.sleep(_RETRY_S)


def _committed(consumer: Consumer, backlog: Backlog) -> int:
    places = consumer.committed([TopicPartition(backlog.topic, p) for p in backlog.bounds], timeout=_TIMEOUT_S)
    return sum(max(0, place.offset - backlog.bounds[place.partition][0]) for place in places)
