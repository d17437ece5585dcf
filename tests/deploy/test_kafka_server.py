"""The broker that every Kafka test stands on: it answers, keeps what it accepted, leaves nothing behind."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from fixtures.kafka_server import QUICK_START, KafkaServer
from fixtures.server_process import ServerProcessError

TOPIC = "durable"
TESTS_DIR = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    with KafkaServer(tmp_path_factory.mktemp("kafka"), QUICK_START) as server:
        yield server


def create_topic(kafka: KafkaServer, topic: str) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    for created in admin.create_topics([NewTopic(topic, 1, 1)]).values():
        created.result(timeout=20.0)


def produce(kafka: KafkaServer, topic: str, values: list[bytes]) -> None:
    """Return when every value is acknowledged by the broker; a failed delivery is an error."""
    failures: list[KafkaError] = []
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "acks": "all"})
    for value in values:
        producer.produce(topic, value, on_delivery=lambda error, _: failures.append(error) if error else None)
    assert producer.flush(20.0) == 0
    assert failures == []


def consume(kafka: KafkaServer, topic: str, count: int) -> list[bytes | None]:
    """The first ``count`` values of the topic for a new consumer group; fewer when 20 s are not enough."""
    consumer = Consumer(
        {
            "bootstrap.servers": kafka.bootstrap_servers,
            "group.id": f"reader-{kafka.pid}",
            "auto.offset.reset": "earliest",
        }
    )
    try:
        consumer.subscribe([topic])
        return [message.value() for message in consumer.consume(count, timeout=20.0)]
    finally:
        consumer.close()


@pytest.mark.kafka
def test_a_killed_broker_started_again_has_the_same_address_and_data(kafka: KafkaServer) -> None:
    values = [b"%d" % number for number in range(1000)]
    create_topic(kafka, TOPIC)
    produce(kafka, TOPIC, values)
    assert consume(kafka, TOPIC, len(values)) == values

    address = kafka.bootstrap_servers
    kafka.kill()
    assert kafka.pid is None
    kafka.start()

    assert kafka.bootstrap_servers == address
    assert consume(kafka, TOPIC, len(values)) == values


@pytest.mark.kafka
def test_a_stopped_broker_started_again_takes_new_records(kafka: KafkaServer) -> None:
    create_topic(kafka, "stopped")
    produce(kafka, "stopped", [b"before"])
    kafka.stop()
    kafka.start()
    produce(kafka, "stopped", [b"after"])
    assert consume(kafka, "stopped", 2) == [b"before", b"after"]


@pytest.mark.kafka
def test_a_misspelt_topic_is_not_created(kafka: KafkaServer) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    admin.list_topics("no-such-topic", timeout=10.0)
    assert "no-such-topic" not in admin.list_topics(timeout=10.0).topics


@pytest.mark.kafka
def test_no_broker_outlives_the_process_that_started_it(tmp_path: Path) -> None:
    """Even a SIGKILL of the test runner, which no exit handler sees."""
    program = (
        "import sys; from pathlib import Path\n"
        "from fixtures.kafka_server import QUICK_START, KafkaServer\n"
        "kafka = KafkaServer(Path(sys.argv[1]), QUICK_START); kafka.start()\n"
        "print(kafka.bootstrap_servers, flush=True); sys.stdin.read()"
    )
    runner = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(TESTS_DIR)},
    )
    with runner:
        assert runner.stdout is not None
        host, port = runner.stdout.readline().decode().strip().split(":")
        with socket.create_connection((host, int(port)), timeout=20.0) as connection:
            runner.send_signal(signal.SIGKILL)
            assert is_closed_by_its_peer(connection)


def is_closed_by_its_peer(connection: socket.socket) -> bool:
    """Return whether the other end closes before the socket's timeout; no request was sent, so no byte comes."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False


@pytest.mark.kafka
def test_broker_that_can_not_start_quotes_its_log_and_is_gone(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("a file where the broker needs a folder")
    kafka = KafkaServer(tmp_path, QUICK_START)
    with pytest.raises(ServerProcessError, match=r"(?s)ended with status.*make kafka.*log dir"):
        kafka.start()
    assert kafka.pid is None


@pytest.mark.parametrize("missing", ["java", "mvn"])
def test_a_missing_tool_is_an_error_that_names_it(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in {"sh", "cmp", "dirname", "mkdir", "rm", "java", "mvn"} - {missing}:
        found = shutil.which(tool)
        assert found, f"{tool} is missing on this machine"
        (tools / tool).symlink_to(found)
    monkeypatch.setenv("PATH", str(tools))
    monkeypatch.setenv("PHOSPHO_BROKER_LIBS", str(tmp_path / "libs"))
    with pytest.raises(ServerProcessError, match=rf"(?i){missing}.*is missing|is missing.*{missing}"):
        KafkaServer(tmp_path / "data").start()
