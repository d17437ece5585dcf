"""The producer of the workers: a batch of messages at a time, each of them confirmed."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from phospho_schemas.kafka import KafkaSettings
from phospho_schemas.topics import MAX_MESSAGE_BYTES, Keyed
from phospho_workers.runtime import metrics
from phospho_workers.runtime.traces import Headers, trace_headers

_DELIVERY_TIMEOUT_S = 60.0


def producer_config(kafka: KafkaSettings) -> dict[str, object]:
    """Return the configuration of every producer after the gateway."""
    return {
        "enable.idempotence": True,
        "acks": "all",
        "linger.ms": 5,
        "batch.size": 1_000_000,
        "compression.type": "lz4",
        # The default of Java's clients: a key is in the same partition, whatever client wrote it.
        "partitioner": "murmur2_random",
        "message.max.bytes": MAX_MESSAGE_BYTES,
        "queue.buffering.max.kbytes": 131_072,
        "delivery.timeout.ms": int(_DELIVERY_TIMEOUT_S * 1000),
        # One callback a failure instead of one a message: flush returns the number of unconfirmed ones.
        "delivery.report.only.error": True,
        **kafka.client(),
    }


class DeliveryFailed(Exception):
    """Kafka did not confirm every message of a batch. Commit nothing of the batch, and send all of it again."""


class ProducerBroken(Exception):
    """The producer had a fatal error: the process must be restarted."""


class BatchProducer:
    """A producer that sends batches and waits until Kafka has confirmed every message. Not thread-safe."""

    def __init__(self, producer: Producer, stage: str, topic_prefix: str = "") -> None:
        self._producer = producer
        self._topic_prefix = topic_prefix
        self._stage = stage
        self._failures: list[KafkaError] = []

    def send(self, messages: Mapping[str, Sequence[Keyed]]) -> None:
        """
        Send messages by topic, without its prefix. When it returns, all in-sync replicas have every one of them.

        Blocks up to 60 s. Raises DeliveryFailed, after which some of the messages may be stored, or ProducerBroken.
        """
        self._failures.clear()
        headers = trace_headers()
        for topic, batch in messages.items():
            for message in batch:
                self._produce(self._topic_prefix + topic, message, headers)
        unconfirmed = self._producer.flush(_DELIVERY_TIMEOUT_S)
        if any(failure.fatal() for failure in self._failures):
            raise ProducerBroken(self._failures[0].str())
        if self._failures or unconfirmed:
            reason = self._failures[0].str() if self._failures else "no confirmation in time"
            raise DeliveryFailed(f"{len(self._failures)} failed, {unconfirmed} unconfirmed: {reason}")
        for topic, batch in messages.items():
            metrics.MESSAGES_PRODUCED.labels(self._stage, self._topic_prefix + topic).inc(len(batch))

    def _produce(self, topic: str, message: Keyed, headers: Headers) -> None:
        deadline_s = time.monotonic() + _DELIVERY_TIMEOUT_S
        while True:
            try:
                self._producer.produce(
                    topic, message.value, message.key, on_delivery=self._on_delivery, headers=headers
                )
                return
            except BufferError:
                # The queue is full: serve deliveries until there is room.
                self._producer.poll(0.1)
                if time.monotonic() > deadline_s:
                    raise DeliveryFailed("the producer's queue stayed full") from None
            except KafkaException as error:
                if error.args[0].fatal():
                    raise ProducerBroken(error.args[0].str()) from error
                raise DeliveryFailed(error.args[0].str()) from error

    def _on_delivery(self, error: KafkaError | None, _: Message) -> None:
        if error is not None:
            self._failures.append(error)


def batch_producer(kafka: KafkaSettings, stage: str) -> BatchProducer:
    """Return the producer of a stage, connected when it first sends."""
    return BatchProducer(Producer(producer_config(kafka)), stage, kafka.topic_prefix)
