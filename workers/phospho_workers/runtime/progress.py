"""The state of a worker process (partitions, progress, fatal failure), and the rebalances that change it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from confluent_kafka import Consumer, Message, TopicPartition

from phospho_workers.runtime import metrics
from phospho_workers.runtime.records import Partition

logger = logging.getLogger(__name__)


class Progress:
    """
    State that the consumer's thread and the event loop write and health checks read.

    `epoch` counts assignments and revocations: a batch that was read under another epoch may have another owner.
    `failure` is the reason for which the process must end. It is set once, and nothing is committed after it.
    """

    def __init__(self) -> None:
        self.assigned: set[Partition] = set()
        self.epoch = 0
        self.failure = ""
        self._last_progress_s = time.monotonic()
        self._on_failure: Callable[[], None] = lambda: None

    def record(self) -> None:
        """Record that a batch was done, or that a poll returned none."""
        self._last_progress_s = time.monotonic()

    def age_s(self) -> float:
        """Return the seconds since the last progress."""
        return time.monotonic() - self._last_progress_s

    def fail(self, name: str, error: BaseException) -> None:
        """Log a fatal error and end the process. The first failure stays."""
        logger.error("%s failed and stops; its batch is not committed", name, exc_info=error)
        if not self.failure:
            self.failure = f"{type(error).__name__}: {error}"
            self._on_failure()

    def failure_event(self) -> asyncio.Event:
        """Return an event of the running loop that is set on failure, from any thread."""
        failed, loop = asyncio.Event(), asyncio.get_running_loop()

        def set_event() -> None:
            loop.call_soon_threadsafe(failed.set)

        self._on_failure = set_event
        if self.failure:
            failed.set()
        return failed


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
                metrics.CONSUMER_LAG.remove(self.name, partition.topic, str(partition.partition))
        try:
            self.worker.on_revoke(consumer, partitions)
        except Exception as error:
            self.progress.fail(self.name, error)
