"""Workers on a real Kafka under failures: bad records, outages of ClickHouse, fatal errors."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewPartitions

from fixtures.phospho_process import clean_environment
from fixtures.shapes import OnKafka
from fixtures.waiting import wait_until
from phospho_schemas.topics import ANALYSES, RAW_LOGS, TASKS

PROJECT_ID = "failures"
UNAVAILABLE = "ClickHouse is unavailable"

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def shape(cluster: OnKafka) -> OnKafka:
    return cluster.of_project(PROJECT_ID)


def log(task_id: str, **fields: object) -> dict[str, object]:
    return {"project_id": PROJECT_ID, "task_id": task_id, "session_id": "s", "input": "hello", **fields}


def produce(shape: OnKafka, topic: str, *values: bytes) -> None:
    producer = Producer({"bootstrap.servers": shape.kafka.bootstrap_servers, "acks": "all", "compression.type": "lz4"})
    for value in values:
        producer.produce(topic, value, b"key", headers=[("trace", b"\xff\xfe")])
    assert producer.flush(30) == 0


def post(shape: OnKafka, event: dict[str, object], path: str = "/api/v1/events") -> dict[str, object]:
    request = urllib.request.Request(
        f"{shape.base_url}{path}",
        json.dumps(event).encode(),
        {"Authorization": f"Bearer {shape.api_key}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        document: dict[str, object] = json.load(answer)
        return document


def post_batch(shape: OnKafka, prefix: str) -> None:
    """Log 200 tasks of 16 sessions."""
    events = [{"task_id": f"{prefix}-{n}", "session_id": f"{prefix}-{n % 16}", "input": f"{n}"} for n in range(200)]
    post(shape, {"events": events}, "/api/v1/events/batch")


def test_workers_dead_letter_bad_records_of_any_topic(shape: OnKafka) -> None:
    """Headers that are not UTF-8 are among them, for which FastStream's own parser fails a whole batch."""
    before = {row["dead_letter_id"] for row in shape.store.rows("SELECT dead_letter_id FROM dead_letters")}
    good = [json.dumps(log(f"good-{number}")).encode() for number in range(20)]
    produce(shape, RAW_LOGS.name, *good[:10], b"not json", b"", json.dumps(log("v9", schema_version=9)).encode())
    produce(shape, RAW_LOGS.name, *good[10:])
    produce(shape, TASKS.name, b'{"task_id": 7}')
    produce(shape, ANALYSES.name, b'{"half": "an analysis', b"\xff\xfe")
    shape.settle()

    letters = shape.store.rows("SELECT * FROM dead_letters ORDER BY stage, source_topic, payload")
    rows = [row for row in letters if row["dead_letter_id"] not in before]

    assert [(row["stage"], row["source_topic"], row["reason"]) for row in rows] == [
        ("detection", TASKS.name, "invalid_task"),
        ("extraction", RAW_LOGS.name, "invalid_json"),
        ("extraction", RAW_LOGS.name, "invalid_json"),
        ("extraction", RAW_LOGS.name, "unknown_version"),
        ("sink", ANALYSES.name, "row_refused"),
        ("sink", ANALYSES.name, "row_refused"),
        ("sink", TASKS.name, "row_refused"),
    ]
    assert rows[4]["payload"] == '{"half": "an analysis'
    assert shape.number("SELECT count() FROM tasks WHERE startsWith(task_id, 'good-')") == 20
    assert shape.number("SELECT count() FROM analyses WHERE startsWith(task_id, 'good-')") == 20


def test_sink_dead_letters_rows_that_clickhouse_refuses(shape: OnKafka) -> None:
    """Rows nested too deep beside rows of many keys, and 120 with a wrong time."""
    row = log("T", revision=1, schema_version=1, created_at="2026-01-01T00:00:00Z", received_at="2026-01-01T00:00:00Z")
    wide = {f"key-{number}": number for number in range(80)}
    good = [json.dumps(row | {"task_id": f"wide-{number}", "metadata": wide}).encode() for number in range(64)]
    deep = [
        json.dumps(row | {"task_id": f"deep-{levels}", "metadata": wide | {"x": "X"}})
        .replace('"X"', "[" * levels + "1" + "]" * levels)
        .encode()
        for levels in (150, 230, 900)
    ]
    wrong = [json.dumps(row | {"task_id": f"wrong-{n}", "created_at": "not a time"}).encode() for n in range(120)]
    produce(shape, TASKS.name, *good[:32], *deep, *wrong, *good[32:])
    shape.settle()

    letters = shape.store.rows(
        'SELECT extract(payload, \'"task_id": "([a-z]+)\') AS kind, count() AS n FROM dead_letters'
        " WHERE stage = 'sink' AND source_topic = 'phospho.tasks' AND kind != '' GROUP BY kind ORDER BY kind"
    )
    assert letters == [{"kind": "deep", "n": 3}, {"kind": "wrong", "n": 120}]
    assert shape.number("SELECT count() FROM tasks WHERE startsWith(task_id, 'wide-')") == 64
    assert shape.workers["sink"].is_running()


def test_sink_stores_more_bytes_than_one_insert_takes(shape: OnKafka) -> None:
    """70 MB that compress well come in one fetch, and the server takes 64 MiB in one insert."""
    text = "the same words again and again " * 3300
    row = log("T", revision=1, schema_version=1, created_at="2026-01-01T00:00:00Z", received_at="2026-01-01T00:00:00Z")
    sink = shape.workers["sink"]
    assert sink.stop() == 0
    rows = [json.dumps(row | {"task_id": f"large-{number}", "input": text}).encode() for number in range(700)]
    produce(shape, TASKS.name, *rows)
    sink.start()
    sink.wait_until_ready()
    shape.settle()

    assert shape.number("SELECT count() FROM tasks WHERE startsWith(task_id, 'large-')") == 700
    assert "TOO_MANY_BYTES" not in sink.log_path.read_text()


def test_detection_uses_a_new_definition(shape: OnKafka) -> None:
    definition = "definitions: [{name: parrots, engine: keyword, scope: input, keywords: [parrot]}]"
    subprocess.run(
        [sys.executable, "-m", "phospho_cli", "definitions", "apply", "-"],
        input=definition.encode(),
        env=clean_environment() | shape.client_environment(),
        check=True,
        timeout=60,
    )

    def is_found() -> bool:
        post(shape, {"session_id": "birds", "input": "a parrot, please", "output": "squawk"})
        return shape.number("SELECT count() FROM events WHERE name = 'parrots'") > 0

    wait_until(is_found, "the new definition is not used", poll_interval_s=0.2)


def test_logs_of_an_outage_are_stored_after_it(shape: OnKafka) -> None:
    post(shape, {"task_id": "before", "session_id": "outage", "input": "a", "output": "b"})
    shape.settle()

    shape.clickhouse.stop()
    for number in range(50):
        post(shape, {"task_id": f"during-{number}", "session_id": "outage", "input": "a", "output": "b"})
    sink_log = shape.workers["sink"].log_path
    shape.wait_until(lambda: UNAVAILABLE in sink_log.read_text(), "the sink has not noticed the outage")
    shape.clickhouse.start()
    shape.settle()

    assert shape.number("SELECT count() FROM tasks WHERE session_id = 'outage'") == 51
    assert shape.number("SELECT count() FROM analyses WHERE session_id = 'outage'") == 51


def test_sink_waits_while_the_disk_is_full(shape: OnKafka) -> None:
    """ClickHouse refuses an insert that would leave less than this on its disk."""
    shape.settle()
    letters = shape.number("SELECT count() FROM dead_letters")
    shape.store.command("ALTER TABLE task_rows MODIFY SETTING min_free_disk_bytes_to_perform_insert = 1e18")
    try:
        post_batch(shape, "full")
        sink_log = shape.workers["sink"].log_path
        shape.wait_until(lambda: "NOT_ENOUGH_SPACE" in sink_log.read_text(), "the sink has not met the full disk")
        assert shape.number("SELECT count() FROM tasks WHERE startsWith(task_id, 'full-')") == 0
    finally:
        shape.store.command("ALTER TABLE task_rows RESET SETTING min_free_disk_bytes_to_perform_insert")
    shape.settle()

    assert shape.number("SELECT count() FROM tasks WHERE startsWith(task_id, 'full-')") == 200
    assert shape.number("SELECT count() FROM dead_letters") == letters
    assert shape.workers["sink"].is_running()


def test_gateway_goes_on_after_the_broker_restarted(shape: OnKafka) -> None:
    """Clients that repeat what was answered 503 lose nothing, and nothing is doubled."""
    gateway = shape.gateways["gateway"].pid
    with ThreadPoolExecutor(4) as clients:
        accepted = [clients.submit(_log_until_accepted, shape, f"restart-{number}") for number in range(4)]
        shape.kafka.kill()
        accepted += [clients.submit(_log_until_accepted, shape, f"restart-{number}") for number in range(4, 20)]
        shape.kafka.start()
        for answer in accepted:
            answer.result()
    shape.settle()

    assert shape.gateways["gateway"].is_running()
    assert shape.gateways["gateway"].pid == gateway
    [stored] = shape.store.rows(
        "SELECT count() AS n, uniqExact(task_id) AS tasks FROM tasks WHERE startsWith(task_id, 'restart-')"
    )
    assert stored == {"n": 20, "tasks": 20}


def _log_until_accepted(shape: OnKafka, task_id: str) -> None:
    headers = {"Authorization": f"Bearer {shape.api_key}"}
    event = {"task_id": task_id, "session_id": task_id, "input": "a", "output": "b"}

    def is_accepted() -> bool:
        answer = httpx.post(f"{shape.base_url}/api/v1/events", json=event, headers=headers, timeout=120)
        assert answer.status_code in (201, 503), answer.text
        assert answer.status_code == 201 or int(answer.headers["Retry-After"]) > 0
        return answer.status_code == 201

    wait_until(is_accepted, f"{task_id} is not accepted", stalled_after_s=240, poll_interval_s=0.2)


def test_task_logged_again_replaces_the_task_and_its_events(shape: OnKafka) -> None:
    first = {"task_id": "again", "session_id": "again", "input": "a parrot", "output": "which one?"}
    post(shape, first)
    post(shape, first | {"input": "no bird", "output": "fine"})
    shape.settle()

    assert shape.sql("SELECT input, output FROM tasks WHERE task_id = 'again'") == "no bird\tfine\n"
    assert shape.number("SELECT count() FROM events WHERE task_id = 'again'") == 0
    assert shape.number("SELECT tasks FROM sessions WHERE session_id = 'again'") == 1


def test_sink_that_joins_during_an_outage_stores_its_partitions(shape: OnKafka) -> None:
    """The rebalance comes while the first sink retries a batch."""
    shape.clickhouse.stop()
    for number in range(60):
        post(shape, {"task_id": f"joined-{number}", "session_id": f"j{number % 9}", "input": "a", "output": "b"})
    first_log = shape.workers["sink"].log_path
    before = first_log.read_text().count(UNAVAILABLE)
    shape.wait_until(lambda: first_log.read_text().count(UNAVAILABLE) > before, "the sink has not noticed the outage")
    with shape.worker("sink-2") as second:
        second.wait_until_ready()
        shape.clickhouse.start()
        shape.settle()

        assert shape.number("SELECT count() FROM tasks WHERE startsWith(task_id, 'joined-')") == 60
        assert shape.number("SELECT count() FROM analyses WHERE startsWith(task_id, 'joined-')") == 60
        assert second.stop() == 0
    assert shape.workers["sink"].is_running()


def test_worker_exits_with_1_and_commits_nothing_after_a_fatal_error(shape: OnKafka) -> None:
    """The error is an intent that this version of the sink did not write."""
    shape.settle()
    sink = shape.workers["sink"]
    assert sink.stop() == 0
    committed = shape.set_metadata("phospho-sink", "written by another sink")
    sink.start()

    assert sink.wait_until_ended() == 1
    assert "unknown kind" in sink.log_path.read_text()
    assert shape.set_metadata("phospho-sink", "") == committed

    sink.start()
    sink.wait_until_ready()
    post(shape, {"task_id": "after-it", "session_id": "s", "input": "a", "output": "b"})
    shape.settle()
    assert shape.number("SELECT count() FROM tasks WHERE task_id = 'after-it'") == 1


def test_sdk_logs_straight_to_kafka(shape: OnKafka) -> None:
    code = f"""
import phospho
phospho.init(kafka={shape.kafka.bootstrap_servers!r}, project_id={PROJECT_ID!r})
logged = phospho.log(input={{"messages": [{{"role": "user", "content": "by kafka"}}], "model": "m"}}, output="yes",
                     session_id="by-kafka")
phospho.user_feedback(logged["task_id"], flag="failure")
assert phospho.flush().is_complete
"""
    subprocess.run([sys.executable, "-c", code], env=clean_environment(), check=True, timeout=60)
    shape.settle()

    row = shape.sql("SELECT input, output, model, flag FROM tasks WHERE session_id = 'by-kafka'")
    assert row == "by kafka\tyes\tm\tfailure\n"


def test_worker_runs_under_faststream_run(shape: OnKafka) -> None:
    shape.settle()
    assert all(worker.stop() == 0 for name, worker in shape.workers.items() if name.startswith("extraction"))
    with shape.under_faststream("extraction") as worker:
        worker.wait_until_ready()
        post(shape, {"task_id": "by-faststream", "session_id": "s", "input": "a", "output": "b"})
        analyses = "SELECT count() FROM analyses WHERE task_id = 'by-faststream'"
        shape.wait_until(lambda: shape.number(analyses) == 1, "the task has no analysis")
        worker.stop()
    for name, worker in shape.workers.items():
        if name.startswith("extraction"):
            worker.start()
            worker.wait_until_ready()


def test_topics_that_grow_lose_and_double_nothing(cluster: OnKafka) -> None:
    """The last test of the folder: the others know the partitions as they were."""
    shape = cluster.of_project("grown")
    post_batch(shape, "before")
    admin = AdminClient({"bootstrap.servers": shape.kafka.bootstrap_servers, "log_level": 0})
    grown = [NewPartitions(topic.name, topic.partitions + 4) for topic in (RAW_LOGS, TASKS)]
    for future in admin.create_partitions(grown).values():
        future.result(30)
    post_batch(shape, "after")
    # Keys that go to the new partitions.
    shape.wait_until(lambda: shape.number("SELECT count() FROM tasks") == 400, "not all tasks are stored")
    analysed = "SELECT uniqExact(task_id) FROM analyses"
    shape.wait_until(lambda: shape.number(analysed) == 400, "not all tasks are analysed")
    [row] = shape.store.rows("SELECT count() AS n FROM task_rows WHERE project_id = 'grown'")
    assert row["n"] == 400
