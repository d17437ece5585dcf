"""Retry delays with a batch in hand: partitions are paused, polls go on, rebalances are served."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

from confluent_kafka import Consumer, TopicPartition

from phospho_workers.runtime.records import Partition

_FIRST_BACKOFF_S = 0.2
_MAX_BACKOFF_S = 5.0


class PollingBackoff:
    """
    Exponential backoff up to 5 s that keeps the consumer in its group.

    Used on the consumer's thread. Call `resume` when the batch is done or dropped. A partition that was stopped stays
    paused until the next assignment.
    """

    def __init__(self) -> None:
        # Replaced as a whole: health checks read it from another thread.
        self.stopped: frozenset[Partition] = frozenset()
        # Why the batch in hand waits, for the readiness check; empty while nothing waits.
        self.reason = ""
        self._is_paused = False
        self._backoff_s = _FIRST_BACKOFF_S

    def wait(self, consumer: Consumer, reason: str = "") -> None:
        """Pause every partition and poll until the next attempt is due."""
        self.reason = reason
        deadline_s = time.monotonic() + self._backoff_s * random.uniform(0.5, 1.0)
        self._backoff_s = min(_MAX_BACKOFF_S, self._backoff_s * 2)
        while time.monotonic() < deadline_s:
            self.poll(consumer)

    def poll(self, consumer: Consumer) -> None:
        """Pause every partition and poll once, during work that takes long."""
        if not self._is_paused:
            consumer.pause(consumer.assignment())
            self._is_paused = True
        message = consumer.poll(0.1)
        if message is not None and message.error() is None:
            # From a partition that was assigned during the pause. It is read again when the batch in hand is done.
            position = TopicPartition(message.topic() or "", message.partition() or 0, message.offset() or 0)
            consumer.seek(position)
            consumer.pause([position])

    def on_assign(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        """
        Pause partitions that are assigned during a pause, and resume them otherwise.

        librdkafka keeps the pause of a partition that was revoked meanwhile: it would never be read again here.
        """
        self.stopped = frozenset()
        consumer.assign(list(partitions))
        if self._is_paused:
            consumer.pause(list(partitions))
        else:
            consumer.resume(list(partitions))

    def resume(self, consumer: Consumer) -> None:
        """Resume every partition and reset the delay."""
        self.reason = ""
        self._backoff_s = _FIRST_BACKOFF_S
        if self._is_paused:
            self._is_paused = False
            running = [each for each in consumer.assignment() if (each.topic, each.partition) not in self.stopped]
            consumer.resume(running)

    def stop_partitions(self, consumer: Consumer, positions: Sequence[TopicPartition]) -> None:
        """Read partitions no further than `positions` until they are assigned again."""
        for position in positions:
            consumer.seek(position)
        consumer.pause(list(positions))
        self.stopped |= {(position.topic, position.partition) for position in positions}
