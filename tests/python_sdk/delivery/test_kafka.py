"""The Kafka transport against librdkafka's own mock broker."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import phospho

confluent_kafka = pytest.importorskip("confluent_kafka", reason="needs the extra phospho[kafka]")
TOPIC = "phospho.raw-logs"


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    """The address of a mock broker that has the topic."""
    owner = confluent_kafka.Producer({"bootstrap.servers": "unused", "test.mock.num.brokers": 1, "log_level": 0})
    metadata = owner.list_topics(timeout=10)
    owner.list_topics(TOPIC, timeout=10)
    yield ",".join(f"{broker.host}:{broker.port}" for broker in metadata.brokers.values())
    owner.flush(1)


@pytest.fixture
def read_messages(broker: str) -> Iterator[Callable[[int], list[Any]]]:
    """Return a function that reads a number of messages produced from now on."""
    group = {"bootstrap.servers": broker, "group.id": uuid.uuid4().hex, "auto.offset.reset": "earliest"}
    consumer = confluent_kafka.Consumer(group)
    partitions = consumer.list_topics(TOPIC, timeout=10).topics[TOPIC].partitions
    ends = [confluent_kafka.TopicPartition(TOPIC, number) for number in partitions]
    for end in ends:
        end.offset = consumer.get_watermark_offsets(end, timeout=10)[1]
    consumer.assign(ends)

    def read(number: int) -> list[Any]:
        messages = consumer.consume(number, timeout=20)
        assert len(messages) == number
        return messages

    yield read
    consumer.close()


def test_kafka_log_is_json_keyed_by_session(broker: str, read_messages: Any) -> None:
    client = phospho.Client(kafka=broker, project_id="p1", tick=2)

    log = client.log(input="Hello", output="Hi", session_id="s1")
    result = client.flush(timeout=20)
    client.close()

    assert result.sent == (log["task_id"],)
    message = read_messages(1)[0]
    assert message.key() == b"p1:s1"
    value = json.loads(message.value())
    assert (value["schema_version"], value["kind"], value["project_id"]) == (1, "log", "p1")
    assert (value["input"], value["output"], value["task_id"]) == ("Hello", "Hi", log["task_id"])


def test_kafka_feedback_is_keyed_by_task(broker: str, read_messages: Any) -> None:
    client = phospho.Client(kafka=broker, project_id="p1", tick=2)

    client.feedback("task-1", score=0, comment="No")
    assert client.flush(timeout=20).is_complete
    client.close()

    message = read_messages(1)[0]
    value = json.loads(message.value())
    assert message.key() == b"p1:task-1"
    assert (value["kind"], value["task_id"], value["score"], value["comment"]) == ("feedback", "task-1", 0, "No")


def test_kafka_label_is_rejected_with_reason(broker: str, read_messages: Any) -> None:
    client = phospho.Client(kafka=broker, project_id="p1", tick=2)

    log = client.log("Hello")
    client.confirm_event(log["task_id"], "greeting")
    result = client.flush(timeout=20)
    client.close()

    assert result.sent == (log["task_id"],)
    assert ["labels go over HTTP" in reason for _, reason in result.rejected] == [True]
    assert json.loads(read_messages(1)[0].value())["kind"] == "log"


def test_kafka_session_stays_in_one_partition(broker: str, read_messages: Any) -> None:
    client = phospho.Client(kafka=broker, project_id="p1", tick=2)

    for number in range(20):
        client.log(input=str(number), session_id="one-session")
    assert client.flush(timeout=20).is_complete
    client.close()

    assert len({message.partition() for message in read_messages(20)}) == 1


def test_kafka_events_stay_pending_without_broker() -> None:
    client = phospho.Client(kafka="127.0.0.1:1", project_id="p1", tick=0.01, request_timeout_s=0.2)

    log = client.log(input="Hello")
    result = client.flush(timeout=1.5)
    client.close(timeout=0)

    assert result.pending == (log["task_id"],)


def test_kafka_without_project_raises_config_error() -> None:
    with pytest.raises(phospho.ConfigError, match="project_id"):
        phospho.init(kafka="127.0.0.1:9092")
