"""Rebalances: told to the worker, counted, and never raised into the consumer, where they would be swallowed."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from confluent_kafka import Consumer, Message, TopicPartition

from phospho_workers.runtime import metrics
from phospho_workers.runtime.progress import Progress


class Worker(Protocol):
    """What a process does with its batches. All methods run on the consumer's thread."""

    def handle(self, consumer: Consumer, messages: Sequence[Message]) -> None:
        """Give a batch its effect and commit it. Anything raised ends the process before a later commit."""

    def assigned(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        """Hear of the partitions that are this consumer's from now on: all of them, the protocol is eager."""

    def revoked(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        """Hear of the partitions that are another's from now on."""


@dataclass(frozen=True)
class Rebalances:
    """The callbacks of one consumer. A worker that fails in one ends the process: what it missed can't be caught up."""

    name: str
    worker: Worker
    progress: Progress

    def on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        metrics.REBALANCES.labels(self.name, "assign").inc()
        self.progress.epoch += 1
        try:
            self.worker.assigned(consumer, partitions)
            self.progress.assigned = {(p.topic, p.partition) for p in partitions}
        except Exception as error:
            # The edge: confluent_kafka raises it out of a later call, where FastStream logs it and goes on.
            self.progress.fail(self.name, error)

    def on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._gone(consumer, partitions, "revoke")

    def on_lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._gone(consumer, partitions, "lost")

    def _gone(self, consumer: Consumer, partitions: list[TopicPartition], kind: str) -> None:
        metrics.REBALANCES.labels(self.name, kind).inc()
        self.progress.epoch += 1
        self.progress.assigned -= {(p.topic, p.partition) for p in partitions}
        for place in partitions:
            with suppress(KeyError):
                metrics.CONSUMER_LAG.remove(place.topic, str(place.partition))
        try:
            self.worker.revoked(consumer, partitions)
        except Exception as error:
            self.progress.fail(self.name, error)
