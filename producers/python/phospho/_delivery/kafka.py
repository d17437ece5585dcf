"""The transport that produces straight to the Kafka topic of raw logs. Needs confluent-kafka."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Callable

from .._content.json_values import encode
from .._logger import logger
from ..config import Settings
from ..errors import ConfigError
from .queue import FEEDBACK, LABEL, LOG, Event
from .transport import Outcome, Transport

__all__ = ["KafkaTransport"]

TOPIC = "phospho.raw-logs"
SCHEMA_VERSION = 1
# That of the topic. Only the gateway divides a larger event.
_MAX_MESSAGE_BYTES = 12_000_000

_LABELS_GO_OVER_HTTP = "labels go over HTTP: confirm and reject events by a client without kafka="

# A forked child must not destroy the parent's producer: its destructor joins threads that the child lacks.
_PARENT_PRODUCERS: list[Any] = []


class KafkaTransport(Transport):
    """Produces each event to `phospho.raw-logs`, keyed by session so that a session stays in one partition."""

    def __init__(self, settings: Settings, producer: Any | None = None) -> None:
        if not settings.project_id:
            raise ConfigError(
                "kafka= has no API key that names the project: pass project_id=, or set PHOSPHO_PROJECT_ID"
            )
        self._settings = settings
        self._make_producer = _producer_factory(settings)
        self._producer = producer

    def send(self, events: Sequence[Event]) -> list[Outcome]:
        """Produce *events* and wait until all replicas acknowledge each, or its timeout is over."""
        if self._producer is None:
            self._producer = self._make_producer()
        outcomes: dict[int, Outcome] = {}
        for index, event in enumerate(events):
            if event.kind == LABEL:
                outcomes[index] = Outcome.rejected("no_topic", _LABELS_GO_OVER_HTTP)
            else:
                self._produce(event, outcomes, index)
        self._producer.flush(self._settings.request_timeout_s * 2)
        late = Outcome.retry("no_answer", "no acknowledgement within the timeout")
        results = [outcomes.get(index, late) for index in range(len(events))]
        if any(outcome.code == "_fatal" for outcome in results):
            # After a fatal error an idempotent producer refuses every further message.
            self._producer = None
        return results

    def close(self) -> None:
        """Wait, within the request timeout, for messages in flight."""
        if self._producer is not None:
            self._producer.flush(self._settings.request_timeout_s)
            self._producer = None

    def after_fork(self) -> None:
        """Leave the parent's producer to the parent."""
        _PARENT_PRODUCERS.append(self._producer)
        self._producer = None

    def _produce(self, event: Event, outcomes: dict[int, Outcome], index: int) -> None:
        """Produce *event*. Its outcome is put into *outcomes* under *index*, now or at its delivery report."""
        assert self._producer is not None

        def on_delivery(error: Any, _message: Any) -> None:
            outcomes[index] = Outcome.accepted() if error is None else _failure(error)

        content = {**event.to_send(), "project_id": self._settings.project_id}
        kind = FEEDBACK if event.kind == FEEDBACK else LOG
        value = encode({**content, "schema_version": SCHEMA_VERSION, "kind": kind})
        try:
            self._producer.produce(
                self._settings.kafka_topic_prefix + TOPIC, value=value, key=_key(content), on_delivery=on_delivery
            )
        except BufferError:
            outcomes[index] = Outcome.retry("queue_full", "librdkafka's queue is full")
        except Exception as error:  # KafkaException, whose import is the extra's
            outcomes[index] = _failure(error.args[0] if error.args else error)


def _key(content: dict[str, Any]) -> bytes:
    return f"{content['project_id']}:{content.get('session_id') or content['task_id']}".encode("utf-8", "replace")


def _failure(error: Any) -> Outcome:
    """Return "rejected" for an error that no retry can mend (too large, not authorised), else "retry"."""
    name = error.name() if hasattr(error, "name") else type(error).__name__
    if name in ("MSG_SIZE_TOO_LARGE", "INVALID_MSG", "TOPIC_AUTHORIZATION_FAILED"):
        return Outcome.rejected(name.lower(), str(error))
    return Outcome.retry(name.lower(), str(error))


def _producer_factory(settings: Settings) -> Callable[[], Any]:
    try:
        from confluent_kafka import Producer
    except ImportError as error:
        raise ConfigError("kafka= needs confluent-kafka: run `pip install confluent-kafka`") from error
    configuration = {
        "bootstrap.servers": settings.kafka,
        "client.id": "phospho-python",
        "acks": "all",
        "enable.idempotence": True,
        # The partitioner of the Java clients and of the server: one session, one partition, whoever produces.
        "partitioner": "murmur2_random",
        "compression.type": "lz4",
        "linger.ms": 5,
        "message.timeout.ms": int(settings.request_timeout_s * 1000),
        "message.max.bytes": _MAX_MESSAGE_BYTES,
        "allow.auto.create.topics": False,
        **dict(settings.kafka_properties),
    }
    return lambda: Producer(configuration, logger=logger)
