"""The publisher that writes to Kafka: one librdkafka producer, whose delivery reports are counted per request."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Sequence
from contextlib import suppress

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from phospho_gateway.settings import KafkaPublisherSettings
from phospho_schemas.topics import RAW_LOGS, Keyed, Topic
from phospho_web.problems import Problem
from phospho_web.publisher import ReceiptsUnpublished

logger = logging.getLogger(__name__)
# Puts the current span, where there is one, into the headers of messages.
_TRACE = TraceContextTextMapPropagator()
_POLL_S = 0.1
# librdkafka's own bound is a second line, in the same bytes and with room for what it keeps beside a message.
_QUEUE_HEADROOM = 2
_LINGER_MS = 10
# Below PHOSPHO_GATEWAY_PUBLISH_TIMEOUT_S, so that the answer knows of it.
_DELIVERY_TIMEOUT_MS = 30_000
# The logs are durable: their answer waits for the receipt no longer.
_RECEIPT_TIMEOUT_S = 2.0
_CHECK_TIMEOUT_S = 2.0
_RETRY_AFTER_S = 2
# A publisher that failed is not ready for this long. Then a request may try again: without one nothing would.
_UNREADY_AFTER_FAILURE_S = 10.0


class KafkaPublisher:
    """
    Publishes to one topic, from its construction to `close`.

    Delivery reports come in a thread of its own, which wakes the event loop once per request, not per message.
    """

    def __init__(
        self,
        settings: KafkaPublisherSettings,
        topic: Topic = RAW_LOGS,
        *,
        receipts: KafkaPublisher | None = None,
        linger_ms: int = _LINGER_MS,
    ) -> None:
        """`receipts` publishes receipts, to a topic of their own."""
        self._settings = settings
        self._receipts = receipts
        self._topic_name = settings.kafka.topic(topic)
        self._fatal_error: KafkaError | None = None
        configuration = _configuration(settings, topic, linger_ms)
        self._producer = Producer(configuration | {"error_cb": self._on_error, "logger": logger})
        self._queued_bytes = 0
        self._failure: tuple[float, str] | None = None
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._poller = threading.Thread(target=self._poll, name="kafka-delivery-reports", daemon=True)
        self._poller.start()

    async def publish(self, messages: Sequence[Keyed], receipts: Sequence[Keyed] = ()) -> None:
        """
        Return when all replicas in sync have every message, and then the receipts, which tell what is durable.

        Raises Problem: 503 before anything is sent if the queue is full, 503 after the delivery reports if the brokers
        refused a message, and 413 for one that is too large for them, which no retry will mend. Raises
        ReceiptsUnpublished where only the receipts failed.
        """
        if messages:
            await self._deliver(messages)
        if receipts and self._receipts is not None:
            try:
                async with asyncio.timeout(_RECEIPT_TIMEOUT_S):
                    await self._receipts.publish(receipts)
            except (Problem, TimeoutError) as error:
                raise ReceiptsUnpublished(str(error)) from error

    async def _deliver(self, messages: Sequence[Keyed]) -> None:
        delivery = _Delivery(len(messages), sum(len(key) + len(value) for key, value in messages))
        self._reserve(delivery.size_bytes)
        delivery.completed.add_done_callback(lambda _: self._release(delivery.size_bytes))
        self._produce(messages, delivery)
        # Shielded: a request that is cancelled leaves its messages on their way, and their bytes counted.
        error = await asyncio.shield(delivery.completed)
        if error is not None:
            raise self._undelivered(error)
        self._failure = None

    def check(self) -> str | None:
        """Return why no log can be published, or None. Blocks for at most 2 s. Receipts may fail: logs go on."""
        if self._fatal_error is not None:
            return f"the producer has to be started again: {self._fatal_error.str()}"
        failure = self._failure
        if failure is not None and time.monotonic() - failure[0] < _UNREADY_AFTER_FAILURE_S:
            return f"Kafka did not take the last message: {failure[1]}"
        try:
            metadata = self._producer.list_topics(self._topic_name, _CHECK_TIMEOUT_S)
        except KafkaException as error:
            return f"Kafka can't be reached: {_text(error.args[0])}"
        problem = metadata.topics[self._topic_name].error
        if problem is not None:
            return f"topic {self._topic_name}: {_text(problem)}. Run `phospho topics create`"
        return None

    def close(self, timeout_s: float) -> int:
        """
        Deliver the queue within `timeout_s`; return the number of undelivered messages.

        Requests that wait for one of those get a Problem (503). Nothing can be published afterwards.
        """
        self._closing.set()
        self._poller.join()
        undelivered = self._producer.flush(timeout_s)
        if undelivered:
            logger.error("closed with %d messages undelivered; their senders are told", undelivered)
            self._producer.purge()
            self._producer.flush(timeout_s)
        return undelivered

    def _produce(self, messages: Sequence[Keyed], delivery: _Delivery) -> None:
        headers: dict[str, str | bytes | None] = {}
        _TRACE.inject(headers)
        for index, (key, value) in enumerate(messages):
            try:
                self._producer.produce(self._topic_name, value, key, on_delivery=delivery.report, headers=headers)
            except BufferError:
                delivery.abandon(len(messages) - index, KafkaError(KafkaError._QUEUE_FULL))
                return
            except KafkaException as error:
                delivery.abandon(len(messages) - index, error.args[0])
                return

    def _reserve(self, size_bytes: int) -> None:
        with self._lock:
            # A request larger than the queue is taken by an empty one.
            if self._queued_bytes and self._queued_bytes + size_bytes > self._settings.max_queue_bytes:
                raise self._refusal("queue_full", "too many messages wait for Kafka")
            self._queued_bytes += size_bytes

    def _release(self, size_bytes: int) -> None:
        with self._lock:
            self._queued_bytes -= size_bytes

    def _undelivered(self, error: KafkaError) -> Problem:
        if error.code() == KafkaError._QUEUE_FULL:
            return self._refusal("queue_full", "too many messages wait for Kafka")
        logger.warning("Kafka did not take a message: %s", _text(error))
        if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
            message = "an event is larger than a message may be here"
            return Problem(413, "event_too_large", message, "log less of it: one event is one message")
        self._failure = (time.monotonic(), _text(error))
        return self._refusal("kafka_unavailable", f"Kafka did not confirm every message: {error.name()}")

    def _refusal(self, code: str, message: str) -> Problem:
        hint = "send the same request again after the time in Retry-After"
        return Problem(503, code, message, hint, retry_after_s=_RETRY_AFTER_S)

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal():
            self._fatal_error = error
        logger.warning("Kafka: %s", _text(error))

    def _poll(self) -> None:
        while not self._closing.is_set():
            self._producer.poll(_POLL_S)


class _Delivery:
    """The delivery of one request's messages. `completed` becomes the first error, or None."""

    def __init__(self, count: int, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self._loop = asyncio.get_running_loop()
        self.completed: asyncio.Future[KafkaError | None] = self._loop.create_future()
        self._remaining = count
        self._error: KafkaError | None = None
        self._lock = threading.Lock()

    def report(self, error: KafkaError | None, message: Message) -> None:
        """Take librdkafka's report on one message; called in the poller's thread."""
        self._settle(1, error)

    def abandon(self, count: int, error: KafkaError) -> None:
        """Count messages that librdkafka did not take."""
        self._settle(count, error)

    def _settle(self, count: int, error: KafkaError | None) -> None:
        with self._lock:
            self._error = self._error or error
            self._remaining -= count
            is_complete = self._remaining == 0
        if is_complete:
            # A loop that is closed has nobody left who waits.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._complete)

    def _complete(self) -> None:
        if not self.completed.done():
            self.completed.set_result(self._error)


def _configuration(settings: KafkaPublisherSettings, topic: Topic, linger_ms: int) -> dict[str, object]:
    return {
        "acks": "all",
        "enable.idempotence": True,
        "linger.ms": linger_ms,
        "compression.type": "lz4",
        "partitioner": "murmur2_random",
        "message.max.bytes": topic.max_message_bytes,
        "delivery.timeout.ms": _DELIVERY_TIMEOUT_MS,
        "queue.buffering.max.kbytes": settings.max_queue_bytes * _QUEUE_HEADROOM // 1024,
        # The bound is in bytes; this one is out of the way.
        "queue.buffering.max.messages": 10_000_000,
        "allow.auto.create.topics": False,
        **settings.kafka.client(),
    }


def _text(error: KafkaError) -> str:
    return f"{error.name()}: {error.str()}"
