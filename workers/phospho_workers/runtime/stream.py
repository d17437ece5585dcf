"""The FastStream frame of a worker: lifecycle, batches in, health and metrics out. The flow is in each app.py."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from confluent_kafka import Consumer, Message, TopicPartition
from faststream import AckPolicy
from faststream.asgi import AsgiFastStream, AsgiResponse, get
from faststream.confluent import KafkaBroker, KafkaMessage
from faststream.confluent.configs.broker import ConsumerBuilder
from faststream.confluent.helpers import AsyncConfluentConsumer, ConfluentFastConfig
from faststream.specification import AsyncAPI
from prometheus_client import make_asgi_app

from phospho_schemas.topics import Topic
from phospho_workers.runtime import metrics
from phospho_workers.runtime.consumer import BatchConsumer
from phospho_workers.runtime.settings import WorkerSettings

logger = logging.getLogger("phospho.worker")

_POLL_TIMEOUT_S = 0.5
# A batch may wait for a ClickHouse that is away; the sink keeps polling then, so this only ends a hung process.
_MAX_POLL_INTERVAL_MS = 300_000
# As long as the group waits for a poll: a sink may wait for a ClickHouse that restarts.
_STALE_AFTER_S = 300.0


class Worker(Protocol):
    """What a process does with its batches. Both methods run on the consumer's thread."""

    def handle(self, consumer: Consumer, messages: Sequence[Message]) -> None:
        """Give a batch its effect and commit it. Anything raised stops the process before a later commit."""

    def assigned(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        """Hear of the partitions that are this consumer's from now on."""

    def revoked(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        """Hear of the partitions that are another's from now on."""


@dataclass
class Progress:
    """When this process last showed life, and whether it may go on."""

    last_s: float = field(default_factory=time.monotonic)
    assigned: set[tuple[str, int]] = field(default_factory=set)
    failure: str = ""

    def note(self) -> None:
        self.last_s = time.monotonic()

    def age_s(self) -> float:
        return time.monotonic() - self.last_s


@dataclass
class StreamApp:
    """A worker that is wired: `asgi` runs it, `progress.failure` says afterwards why it stopped by itself."""

    asgi: AsgiFastStream
    broker: KafkaBroker
    progress: Progress


def stream_app(
    name: str, topics: Sequence[Topic], settings: WorkerSettings, worker: Worker, help_text: str
) -> StreamApp:
    """Return the app of one worker: one consumer group, named after it, on `topics`."""
    progress = Progress()
    broker = KafkaBroker(
        settings.kafka,
        allow_auto_create_topics=False,
        apply_types=False,
        graceful_timeout=30.0,
        logger=logger,
        log_level=logging.DEBUG,
    )
    _use_batch_consumer(broker, name, settings, progress)
    specification = AsyncAPI(title=f"phospho {name}", version="1", description=help_text)
    asgi = AsgiFastStream(broker, specification=specification, asgi_routes=_routes(progress), logger=logger)
    rebalance = _Rebalances(name, worker, progress)
    subscriber = broker.subscriber(
        *(topic.name for topic in topics),
        group_id=f"phospho-{name}",
        batch=True,
        max_records=settings.max_batch_records,
        polling_interval=_POLL_TIMEOUT_S,
        ack_policy=AckPolicy.MANUAL,
        auto_offset_reset="earliest",
        no_reply=True,
        session_timeout_ms=int(settings.session_timeout_s * 1000),
        heartbeat_interval_ms=2000,
        max_poll_interval_ms=_MAX_POLL_INTERVAL_MS,
        group_instance_id=settings.instance_id,
        partition_assignment_strategy=("range",),
        isolation_level="read_committed",
        fetch_max_wait_ms=100,
        max_partition_fetch_bytes=4_194_304,
        on_assign=rebalance.on_assign,
        on_revoke=rebalance.on_revoke,
        on_lost=rebalance.on_lost,
        title=f"phospho-{name}",
        description="; ".join(f"{topic.name}: {topic.help}" for topic in topics),
        parser=_parse,
        decoder=_decode,
    )

    async def handle(batch: Any) -> None:
        consumer = subscriber.consumer
        assert isinstance(consumer, BatchConsumer)
        try:
            await consumer.run(partial(worker.handle, consumer.consumer, batch))
            progress.note()
        except Exception as error:
            # The edge of the process: stop before any later batch could commit past this one.
            logger.exception("%s stops: a batch failed and was not committed", name)
            progress.failure = f"{type(error).__name__}: {error}"
            asgi.exit()
            await asyncio.Event().wait()

    subscriber(handle)
    return StreamApp(asgi, broker, progress)


def _use_batch_consumer(broker: KafkaBroker, name: str, settings: WorkerSettings, progress: Progress) -> None:
    """Make the broker build our consumer, which is FastStream's with batches by bytes and counted errors."""

    class OwnConsumer(BatchConsumer):
        stage = name
        max_batch_bytes = settings.max_batch_bytes
        linger_s = settings.linger_s

        async def getmany(self, timeout: float = 0.1, max_records: int | None = 10) -> tuple[Message, ...]:  # noqa: ASYNC109 (FastStream's signature)
            batch = await super().getmany(timeout, max_records)
            progress.note()
            return batch

    class Builder(ConsumerBuilder):
        def __call__(self, *topics: Any, **options: Any) -> AsyncConfluentConsumer:
            return OwnConsumer(*topics, config=self.config, logger=self.logger, admin_service=self.admin, **options)

    own = broker.config.broker_config
    stock = own.builder
    assert isinstance(stock, ConsumerBuilder)
    # What FastStream has no name for; given to the broker it would go to the producer too. The bounds: a slow reader
    # grows by 16 MB, and not by librdkafka's 64.
    config = ConfluentFastConfig(
        bootstrap_servers=settings.kafka,
        allow_auto_create_topics=False,
        config={
            "enable.auto.offset.store": False,
            "queued.max.messages.kbytes": settings.prefetch_kbytes,
            "queued.min.messages": 10_000,
            "fetch.max.bytes": 16_777_216,
        },
    )
    own.builder = Builder(config=config, admin=stock.admin, logger=stock.logger)


@dataclass(frozen=True)
class _Rebalances:
    """Passes rebalances on to the worker, and counts them."""

    name: str
    worker: Worker
    progress: Progress

    def on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        metrics.REBALANCES.labels(self.name, "assign").inc()
        self.progress.assigned = {(p.topic, p.partition) for p in partitions}
        self.worker.assigned(consumer, partitions)

    def on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._gone(consumer, partitions, "revoke")

    def on_lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._gone(consumer, partitions, "lost")

    def _gone(self, consumer: Consumer, partitions: list[TopicPartition], kind: str) -> None:
        metrics.REBALANCES.labels(self.name, kind).inc()
        self.progress.assigned -= {(p.topic, p.partition) for p in partitions}
        for place in partitions:
            metrics.CONSUMER_LAG.remove(place.topic, str(place.partition))
        self.worker.revoked(consumer, partitions)


async def _parse(messages: tuple[Message, ...]) -> KafkaMessage:
    """Wrap a batch without looking into it: the stock parser loses a whole batch to one header that is not UTF-8."""
    return KafkaMessage(raw_message=messages, body=b"", consumer=_NoConsumer(), is_manual=True)


async def _decode(message: KafkaMessage) -> Any:
    return message.raw_message


class _NoConsumer:
    """Stands where FastStream would commit; offsets are committed by the worker alone."""

    async def commit(self) -> None:
        raise NotImplementedError("offsets are committed by the worker")

    async def seek(self, topic: str, partition: int, offset: int) -> None:
        raise NotImplementedError("offsets are set by the worker")


def _routes(progress: Progress) -> list[tuple[str, Callable[..., Any]]]:
    """Return /healthz (is the loop alive), /readyz (has it partitions) and /metrics."""
    metrics.SECONDS_SINCE_PROGRESS.set_function(progress.age_s)

    @get
    async def healthz(scope: Any) -> AsgiResponse:
        alive = not progress.failure and progress.age_s() < _STALE_AFTER_S
        body = progress.failure or f"last progress {progress.age_s():.1f} s ago"
        return AsgiResponse(body.encode(), 200 if alive else 503)

    @get
    async def readyz(scope: Any) -> AsgiResponse:
        if progress.assigned:
            return AsgiResponse(f"{len(progress.assigned)} partitions".encode(), 200)
        return AsgiResponse(b"no partition is assigned yet: is Kafka up, do the topics exist?", 503)

    return [("/healthz", healthz), ("/readyz", readyz), ("/metrics", make_asgi_app(metrics.REGISTRY))]
