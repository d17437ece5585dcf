"""FastStream application of a worker: lifecycle, batches, health and metrics. Each app.py has the flow."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from confluent_kafka import Message
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
from phospho_workers.runtime.progress import Progress, Rebalances, Worker, logger
from phospho_workers.runtime.settings import WorkerSettings

_POLL_TIMEOUT_S = 0.5
# Only a hung process exceeds it: a worker that waits for Kafka or ClickHouse keeps polling.
_MAX_POLL_INTERVAL_MS = 300_000

# As long as max.poll.interval.ms: a worker may be waiting for a Kafka or a ClickHouse that restarts.
_STALE_AFTER_S = 300.0
_NOT_READY = (
    "no partition is assigned yet: check that Kafka is up and that its topics exist, or run `phospho topics create`"
)


@dataclass(frozen=True)
class StreamApp:
    """A worker that is ready to run. `progress.failure` is the reason for which it stops by itself."""

    asgi: AsgiFastStream
    progress: Progress


def stream_app(
    name: str, topics: Sequence[Topic], *, worker: Worker, settings: WorkerSettings, help_text: str
) -> StreamApp:
    """Return the app of a worker that reads `topics` in a consumer group of its own, `phospho-<name>`."""
    progress = Progress()
    broker = KafkaBroker(
        settings.kafka.servers,
        allow_auto_create_topics=False,
        apply_types=False,
        graceful_timeout=30.0,
        logger=logger,
        log_level=logging.DEBUG,
    )
    _use_batch_consumer(broker, name, settings, progress)
    subscriber = _subscriber(broker, topics, settings, Rebalances(name, worker, progress))

    async def handle(batch: Any) -> None:
        consumer = subscriber.consumer
        assert isinstance(consumer, BatchConsumer)
        try:
            await consumer.run(partial(worker.handle, consumer.consumer, batch))
            progress.record()
        except Exception as error:
            # The edge of the process: no later batch may commit past this one, so the next getmany never returns.
            progress.fail(name, error)

    subscriber(handle)
    specification = AsyncAPI(title=f"phospho {name}", version="1", description=help_text)
    routes = health_routes(name, progress, worker)
    asgi = AsgiFastStream(broker, specification=specification, asgi_routes=routes, logger=logger)
    return StreamApp(asgi, progress)


def _subscriber(broker: KafkaBroker, topics: Sequence[Topic], settings: WorkerSettings, rebalances: Rebalances) -> Any:
    group = settings.kafka.group(rebalances.name)
    return broker.subscriber(
        *(settings.kafka.topic(topic) for topic in topics),
        group_id=group,
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
        # Eager: a rebalance revokes every partition and assigns anew, at the committed position. The worker and the
        # batch consumer rely on it.
        partition_assignment_strategy=("range",),
        isolation_level="read_committed",
        fetch_max_wait_ms=100,
        max_partition_fetch_bytes=4_194_304,
        on_assign=rebalances.on_assign,
        on_revoke=rebalances.on_revoke,
        on_lost=rebalances.on_lost,
        title=group,
        description="; ".join(f"{settings.kafka.topic(topic)}: {topic.help}" for topic in topics),
        parser=_parse,
        decoder=_decode,
    )


def _use_batch_consumer(broker: KafkaBroker, name: str, settings: WorkerSettings, progress: Progress) -> None:
    """Make the broker build BatchConsumers."""

    class StageConsumer(BatchConsumer):
        stage = name
        max_batch_bytes = settings.max_batch_bytes
        linger_s = settings.linger_s

        async def getmany(self, timeout: float = 0.1, max_records: int | None = 10) -> tuple[Message, ...]:  # noqa: ASYNC109 (FastStream's signature)
            batch: tuple[Message, ...] = ()
            try:
                batch = await super().getmany(timeout, max_records)
            except Exception as error:
                # FastStream would log it, sleep, and go on after the lost messages.
                progress.fail(name, error)
            if progress.failure:
                await asyncio.Event().wait()
            progress.record()
            return batch

    StageConsumer.progress = progress

    class Builder(ConsumerBuilder):
        def __call__(self, *topics: Any, **options: Any) -> AsyncConfluentConsumer:
            return StageConsumer(*topics, config=self.config, logger=self.logger, admin_service=self.admin, **options)

    broker_config = broker.config.broker_config
    builder = broker_config.builder
    assert isinstance(builder, ConsumerBuilder)
    broker_config.connection_config = _ClientConfig(settings)
    broker_config.builder = Builder(broker_config.connection_config, admin=builder.admin, logger=builder.logger)


class _ClientConfig(ConfluentFastConfig):
    """The configuration of FastStream's clients: its own, what it has no name for, the settings' properties."""

    __slots__ = ("_kafka", "_prefetch_kbytes")

    def __init__(self, settings: WorkerSettings) -> None:
        super().__init__(bootstrap_servers=settings.kafka.servers, allow_auto_create_topics=False)
        self._kafka = settings.kafka.client()
        self._prefetch_kbytes = settings.prefetch_kbytes

    @property
    def consumer_config(self) -> dict[str, Any]:
        # A slow reader grows by 16 MB with these bounds, and by 64 with librdkafka's own.
        bounds = {
            "enable.auto.offset.store": False,
            "queued.max.messages.kbytes": self._prefetch_kbytes,
            "queued.min.messages": 10_000,
            "fetch.max.bytes": 16_777_216,
        }
        return super().consumer_config | bounds | self._kafka

    @property
    def producer_config(self) -> dict[str, Any]:
        return super().producer_config | self._kafka

    @property
    def admin_config(self) -> dict[str, Any]:
        return super().admin_config | self._kafka


async def _parse(messages: tuple[Message, ...]) -> KafkaMessage:
    """Wrap a batch unparsed: FastStream's own parser fails a whole batch for one header that is not UTF-8."""
    return KafkaMessage(raw_message=messages, body=b"", consumer=_NoConsumer(), is_manual=True)


async def _decode(message: KafkaMessage) -> Any:
    return message.raw_message


class _NoConsumer:
    """Placeholder through which FastStream would commit. The worker alone commits offsets."""

    async def commit(self) -> None:
        raise NotImplementedError("offsets are committed by the worker")

    async def seek(self, topic: str, partition: int, offset: int) -> None:
        raise NotImplementedError("offsets are set by the worker")


def health_routes(name: str, progress: Progress, worker: Worker) -> list[tuple[str, Callable[..., Any]]]:
    """Return the routes for liveness, for readiness (partitions are assigned and read) and for the metrics."""
    metrics.PROGRESS_AGE_SECONDS.labels(name).set_function(progress.age_s)

    @get
    async def healthz(scope: Any) -> AsgiResponse:
        is_alive = not progress.failure and progress.age_s() < _STALE_AFTER_S
        body = progress.failure or f"last progress {progress.age_s():.1f} s ago"
        return AsgiResponse(body.encode(), 200 if is_alive else 503)

    @get
    async def readyz(scope: Any) -> AsgiResponse:
        reason = progress.failure or worker.problem
        if progress.assigned and not reason:
            return AsgiResponse(f"{len(progress.assigned)} partitions".encode(), 200)
        reason = reason or _NOT_READY
        return AsgiResponse(reason.encode(), 503)

    return [("/healthz", healthz), ("/readyz", readyz), ("/metrics", make_asgi_app(metrics.REGISTRY))]
