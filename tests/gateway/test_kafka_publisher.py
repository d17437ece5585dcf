"""The Kafka publisher against librdkafka's mock brokers: the protocol and its faults."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Producer, TopicPartition

from phospho_gateway.kafka_publisher import KafkaPublisher
from phospho_gateway.settings import KafkaPublisherSettings
from phospho_schemas.kafka import KafkaSettings
from phospho_schemas.topics import RAW_LOGS, Keyed, Topic
from phospho_web.problems import Problem
from phospho_web.publisher import ReceiptsUnpublished

_TIMEOUT_S = 15.0
# A port on which nobody listens: the discard service.
_NOWHERE = "127.0.0.1:9"

PublisherMaker = Callable[..., KafkaPublisher]


@pytest.fixture
def brokers() -> Iterator[str]:
    """The address of a mock cluster with the topic of raw logs; it lives as long as the producer that owns it."""
    owner = Producer({"bootstrap.servers": "unused", "test.mock.num.brokers": 1, "allow.auto.create.topics": True})
    owner.produce(RAW_LOGS.name, b"creates the topic", b"-")
    assert owner.flush(_TIMEOUT_S) == 0
    broker = next(iter(owner.list_topics(timeout=_TIMEOUT_S).brokers.values()))
    yield f"{broker.host}:{broker.port}"
    owner.close()


@pytest.fixture
def make_publisher() -> Iterator[PublisherMaker]:
    made: list[KafkaPublisher] = []

    def make(
        servers: str,
        topic: Topic = RAW_LOGS,
        prefix: str = "",
        properties: Mapping[str, str] | None = None,
        receipts: KafkaPublisher | None = None,
        **settings: int,
    ) -> KafkaPublisher:
        kafka = KafkaSettings(servers, prefix, properties=tuple((properties or {}).items()))
        made.append(KafkaPublisher(KafkaPublisherSettings(kafka, **settings), topic, receipts=receipts))
        return made[-1]

    yield make
    for publisher in made:
        publisher.close(0.1)


def _messages(count: int, size: int = 10) -> list[Keyed]:
    return [Keyed(b"shop:s%d" % (index % 7), b"%0*d" % (size, index)) for index in range(count)]


def _consumed(brokers: str, count: int) -> list[Keyed]:
    """Return `count` messages of the topic after the first, which made it."""
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": "reader"})
    partitions = consumer.list_topics(RAW_LOGS.name, _TIMEOUT_S).topics[RAW_LOGS.name].partitions
    consumer.assign([TopicPartition(RAW_LOGS.name, partition, OFFSET_BEGINNING) for partition in partitions])
    found: list[Keyed] = []
    try:
        while len(found) < count + 1:
            batch = consumer.consume(count + 1, timeout=_TIMEOUT_S)
            assert batch, f"{len(found)} messages, then none for {_TIMEOUT_S} s"
            found += [Keyed(message.key() or b"", message.value() or b"") for message in batch]
    finally:
        consumer.close()
    return [message for message in found if message.key != b"-"]


async def test_a_publish_returns_when_every_message_is_in_the_topic(
    brokers: str, make_publisher: PublisherMaker
) -> None:
    messages = _messages(500)

    await asyncio.wait_for(make_publisher(brokers).publish(messages), _TIMEOUT_S)

    assert sorted(await asyncio.to_thread(_consumed, brokers, 500)) == sorted(messages)


async def test_publishes_at_the_same_time_each_wait_for_their_own_messages(
    brokers: str, make_publisher: PublisherMaker
) -> None:
    publisher = make_publisher(brokers)

    await asyncio.wait_for(asyncio.gather(*[publisher.publish(_messages(20)) for _ in range(30)]), _TIMEOUT_S)

    assert len(await asyncio.to_thread(_consumed, brokers, 600)) == 600


async def test_an_empty_publish_returns_at_once(make_publisher: PublisherMaker) -> None:
    await asyncio.wait_for(make_publisher(_NOWHERE).publish([]), 1)


async def test_brokers_that_are_away_are_a_503_after_the_delivery_timeout(
    make_publisher: PublisherMaker,
) -> None:
    publisher = make_publisher(_NOWHERE, properties={"delivery.timeout.ms": "300"})

    with pytest.raises(Problem) as raised:
        await asyncio.wait_for(publisher.publish(_messages(3)), _TIMEOUT_S)

    assert (raised.value.status, raised.value.code) == (503, "kafka_unavailable")
    assert raised.value.retry_after_s == 2


async def test_full_queue_refuses_a_publish_until_it_has_room(
    make_publisher: PublisherMaker,
) -> None:
    publisher = make_publisher(_NOWHERE, properties={"delivery.timeout.ms": "500"}, max_queue_bytes=10_000)
    first = asyncio.create_task(publisher.publish(_messages(1, size=8_000)))
    await asyncio.sleep(0)

    with pytest.raises(Problem) as refused:
        await publisher.publish(_messages(1, size=8_000))
    with pytest.raises(Problem):
        await asyncio.wait_for(first, _TIMEOUT_S)
    with pytest.raises(Problem) as later:
        await asyncio.wait_for(publisher.publish(_messages(1, size=8_000)), _TIMEOUT_S)

    assert (refused.value.status, refused.value.code) == (503, "queue_full")
    assert later.value.code == "kafka_unavailable", "it was queued: the queue had given its bytes back"


async def test_librdkafkas_own_bound_is_a_503_too(make_publisher: PublisherMaker) -> None:
    publisher = make_publisher(_NOWHERE, properties={"delivery.timeout.ms": "300", "queue.buffering.max.messages": "5"})

    with pytest.raises(Problem) as raised:
        await asyncio.wait_for(publisher.publish(_messages(20)), _TIMEOUT_S)

    assert raised.value.status == 503


async def test_a_publish_that_is_cancelled_leaves_the_next_ones_working(
    brokers: str, make_publisher: PublisherMaker
) -> None:
    publisher = make_publisher(brokers)
    cancelled = asyncio.create_task(publisher.publish(_messages(5)))
    await asyncio.sleep(0)
    cancelled.cancel()

    await asyncio.wait_for(publisher.publish(_messages(5)), _TIMEOUT_S)

    assert len(await asyncio.to_thread(_consumed, brokers, 10)) == 10


def test_the_check_says_nothing_when_the_topic_is_there(brokers: str, make_publisher: PublisherMaker) -> None:
    assert make_publisher(brokers).check() is None


def test_the_check_names_brokers_that_are_away(make_publisher: PublisherMaker) -> None:
    reason = make_publisher(_NOWHERE).check()

    assert "Kafka can't be reached" in str(reason)


async def test_close_says_what_it_could_not_deliver_and_so_does_the_publish(make_publisher: PublisherMaker) -> None:
    publisher = make_publisher(_NOWHERE)
    waiting = asyncio.create_task(publisher.publish(_messages(3)))
    await asyncio.sleep(0)

    left = await asyncio.to_thread(publisher.close, 0.2)

    assert left == 3
    with pytest.raises(Problem):
        await asyncio.wait_for(waiting, _TIMEOUT_S)


async def test_close_delivers_what_is_queued(brokers: str, make_publisher: PublisherMaker) -> None:
    publisher = make_publisher(brokers, properties={"linger.ms": "5000"})
    waiting = asyncio.create_task(publisher.publish(_messages(3)))
    await asyncio.sleep(0)

    assert await asyncio.to_thread(publisher.close, _TIMEOUT_S) == 0
    await asyncio.wait_for(waiting, 1)


async def test_a_message_that_is_too_large_is_a_413_that_no_retry_mends(make_publisher: PublisherMaker) -> None:
    publisher = make_publisher(_NOWHERE, replace(RAW_LOGS, max_message_bytes=1_000))

    with pytest.raises(Problem) as raised:
        await asyncio.wait_for(publisher.publish(_messages(1, size=2_000)), _TIMEOUT_S)

    assert (raised.value.status, raised.value.retry_after_s) == (413, None)


async def test_publisher_is_not_ready_after_a_failure_until_a_publish_succeeds(
    brokers: str, make_publisher: PublisherMaker
) -> None:
    publisher = make_publisher(brokers)
    error = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)

    assert publisher._undelivered(error).status == 503
    assert "TOPIC_AUTHORIZATION_FAILED" in (publisher.check() or "")

    await asyncio.wait_for(publisher.publish(_messages(1)), _TIMEOUT_S)
    assert publisher.check() is None


async def test_publish_confirms_logs_whose_receipts_fail(brokers: str, make_publisher: PublisherMaker) -> None:
    """The logs are durable: an error of any other kind would make the client send them again."""
    receipts = make_publisher(_NOWHERE, properties={"delivery.timeout.ms": "300"})
    publisher = make_publisher(brokers, receipts=receipts)

    with pytest.raises(ReceiptsUnpublished):
        await asyncio.wait_for(publisher.publish(_messages(3), [Keyed(b"shop:r", b"{}")]), _TIMEOUT_S)

    assert len(await asyncio.to_thread(_consumed, brokers, 3)) == 3
    assert publisher.check() is None, "logs can be published"
