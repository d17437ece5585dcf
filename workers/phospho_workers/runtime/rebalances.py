"""Rebalance callbacks: counted, passed to the worker, and never raised into the consumer, which would swallow them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from confluent_kafka import Consumer, Message, TopicPartition

from phospho_workers.runtime import metrics
from phospho_workers.runtime.progress import Progress


class Worker(Protocol):
    """The work of a process. All methods run on the consumer's thread."""

    @property
    def problem(self) -> str:
        """Why a part of the work stands still until somebody acts; empty for nothing. Read from any thread."""

    def handle(self, consumer: Consumer, messages: Sequence[Message]) -> None:
        """Process a batch and commit it. Anything raised ends the process before a later commit."""

    def on_assign(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        """Take over `partitions`, which are the whole assignment, since the protocol is eager."""

    def on_revoke(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        """Give up partitions."""


@dataclass(frozen=True)
class Rebalances:
    """The callbacks of one consumer. A worker that fails in one ends the process, as its state is no longer right."""

    name: str
    worker: Worker
    progress: Progress

    def on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        metrics.REBALANCES.labels(self.name, "assign").inc()
        self.progress.epoch += 1
        try:
            self.worker.on_assign(consumer, partitions)
            self.progress.assigned = {(partition.topic, partition.partition) for partition in partitions}
        except Exception as error:
            # The edge: confluent_kafka raises it out of a later call, where FastStream logs it and goes on.
            self.progress.fail(self.name, error)

    def on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._give_up(consumer, partitions, "revoke")

    def on_lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._give_up(consumer, partitions, "lost")

    def _give_up(self, consumer: Consumer, partitions: list[TopicPartition], kind: str) -> None:
        metrics.REBALANCES.labels(self.name, kind).inc()
        self.progress.epoch += 1
        self.progress.assigned -= {(partition.topic, partition.partition) for partition in partitions}
        for partition in partitions:
            with suppress(KeyError):
                metrics.CONSUMER_LAG.remove(partition.topic, str(partition.partition))
        try:
            self.worker.on_revoke(consumer, partitions)
        except Exception as error:
            self.progress.fail(self.name, error)
