"""A batch is sent once Kafka has confirmed each of its messages; anything else raises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from confluent_kafka import KafkaError

from phospho_schemas.topics import Keyed
from phospho_workers.runtime.producer import BatchProducer, DeliveryFailed, ProducerBroken

MESSAGES = {"phospho.tasks": [Keyed(b"key", b"1"), Keyed(b"key", b"2")], "phospho.feedback": [Keyed(b"key", b"3")]}


@dataclass
class FakeProducer:
    """Producer that confirms messages when it is flushed, but for `lost` ones; `refused` are errors of deliveries."""

    lost: int = 0
    refused: list[KafkaError] = field(default_factory=list)
    queued: list[tuple[str, bytes]] = field(default_factory=list)
    confirmed: list[tuple[str, bytes]] = field(default_factory=list)
    on_delivery: Callable[[KafkaError | None, Any], None] | None = None

    def produce(self, topic: str, value: bytes, key: bytes, **options: Any) -> None:
        self.queued.append((topic, value))
        self.on_delivery = options["on_delivery"]

    def poll(self, timeout: float) -> int:
        return 0

    def flush(self, timeout: float) -> int:
        assert timeout > 0
        for error in self.refused:
            assert self.on_delivery is not None
            self.on_delivery(error, None)
        self.confirmed, self.queued = self.queued[self.lost :], self.queued[: self.lost]
        return len(self.queued)


def test_send_returns_when_every_message_is_confirmed() -> None:
    producer = FakeProducer()

    BatchProducer(producer, "tests", "acme.").send(MESSAGES)  # type: ignore[arg-type]

    assert producer.confirmed == [
        ("acme.phospho.tasks", b"1"),
        ("acme.phospho.tasks", b"2"),
        ("acme.phospho.feedback", b"3"),
    ]


def test_send_raises_while_a_message_is_unconfirmed() -> None:
    with pytest.raises(DeliveryFailed, match="1 unconfirmed"):
        BatchProducer(FakeProducer(lost=1), "tests").send(MESSAGES)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (KafkaError(KafkaError.NOT_ENOUGH_REPLICAS), DeliveryFailed),
        (KafkaError(KafkaError._FATAL, "out of order", fatal=True), ProducerBroken),
    ],
)
def test_send_raises_for_a_refused_message(error: KafkaError, failure: type[Exception]) -> None:
    producer = FakeProducer(refused=[error])
    batches = BatchProducer(producer, "tests")  # type: ignore[arg-type]

    with pytest.raises(failure):
        batches.send(MESSAGES)

    producer.refused = []
    batches.send(MESSAGES)
