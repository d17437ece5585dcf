"""Waiting with a batch in hand: the partitions rest, the group keeps this member, rebalances are heard."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

from confluent_kafka import Consumer, TopicPartition

_FIRST_BACKOFF_S = 0.2
_MAX_BACKOFF_S = 5.0


class Pause:
    """
    The pauses between the attempts at one batch, each longer than the one before, up to 5 s.

    Used on the consumer's thread. `resume` must follow, whatever happens.
    """

    def __init__(self) -> None:
        self._is_paused = False
        self._backoff_s = _FIRST_BACKOFF_S

    def wait(self, consumer: Consumer) -> None:
        """Pause every partition and poll for a while."""
        deadline_s = time.monotonic() + self._backoff_s * random.uniform(0.5, 1.0)
        self._backoff_s = min(_MAX_BACKOFF_S, self._backoff_s * 2)
        while time.monotonic() < deadline_s:
            self.poll(consumer)

    def poll(self, consumer: Consumer) -> None:
        """Pause every partition and poll once: for work that goes on, but takes long."""
        if not self._is_paused:
            consumer.pause(consumer.assignment())
            self._is_paused = True
        message = consumer.poll(0.1)
        if message is not None and message.error() is None:
            # Of a partition that came while the others rest: it is read when the batch in hand is done.
            place = TopicPartition(message.topic() or "", message.partition() or 0, message.offset() or 0)
            consumer.seek(place)
            consumer.pause([place])

    def assigned(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        """Let partitions that come in a pause rest as well."""
        if self._is_paused:
            consumer.assign(list(partitions))
            consumer.pause(list(partitions))

    def resume(self, consumer: Consumer) -> None:
        """Let every partition go on."""
        self._backoff_s = _FIRST_BACKOFF_S
        if self._is_paused:
            self._is_paused = False
            consumer.resume(consumer.assignment())
