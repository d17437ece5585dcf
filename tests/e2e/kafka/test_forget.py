"""Forgetting a user on Kafka: gone from the store, from pending messages, and from replays of every topic."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
from confluent_kafka import Producer

from fixtures.labels import new_label
from fixtures.phospho_process import invoke_phospho
from fixtures.shapes import OnKafka
from phospho_schemas.topics import RAW_LOGS
from phospho_store.annotations.labels import LabelRepository

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(400)]

_TABLES_OF_TASKS = ("task_rows", "analysis_rows", "feedback_rows", "label_rows", "session_task_rows", "log_part_rows")
_SECRET = "my card ends in 4242"


def _event(user: str, number: int) -> dict[str, object]:
    ids = {"user_id": user, "session_id": f"{user}-session", "task_id": f"{user}-{number}"}
    return ids | {"input": f"{_SECRET}, says {user}", "output": "thank you", "created_at": "2026-11-01T10:00:00Z"}


def _log(shape: OnKafka, user: str, first: int, number: int) -> None:
    headers = {"Authorization": f"Bearer {shape.api_key}"}
    with httpx.Client(base_url=shape.base_url, headers=headers, timeout=60) as client:
        events = [_event(user, index) for index in range(first, first + number)]
        answer = client.post("/api/v1/events/batch", json={"events": events}).raise_for_status()
        assert answer.json()["accepted"] == number
        for index in range(first, first + number):
            client.post(f"/api/v1/events/{user}-{index}/feedback", json={"score": 0}).raise_for_status()


def _log_bad(shape: OnKafka, user: str) -> None:
    """Log what becomes a dead letter, as a producer without the gateway."""
    producer = Producer({"bootstrap.servers": shape.kafka.bootstrap_servers, "log_level": 0})
    producer.produce(RAW_LOGS.name, json.dumps({"project_id": shape.project_id, **_event(user, 0), "flag": "?"}))
    assert producer.flush(30) == 0


def _number(shape: OnKafka, sql: str) -> int:
    return int(shape.store.rows(sql)[0]["n"])


def _rows(shape: OnKafka, user: str) -> dict[str, int]:
    rows = {
        table: _number(shape, f"SELECT uniqExact(task_id) AS n FROM {table} WHERE startsWith(task_id, '{user}-')")
        for table in _TABLES_OF_TASKS
    }
    letters = (
        "SELECT uniqExact(dead_letter_id) AS n FROM dead_letter_rows"
        f" WHERE position(base64Decode(payload_base64), '{user}') > 0"
    )
    return rows | {"dead_letter_rows": _number(shape, letters)}


def test_forgotten_user_stays_forgotten_when_topics_are_replayed(cluster: OnKafka, tmp_path: Path) -> None:
    shape = cluster.of_project("forget")
    for user in ("ann", "bob"):
        _log(shape, user, 0, 5)
        _log_bad(shape, user)
        LabelRepository(shape.store).save_labels([new_label(shape.project_id, "refund", f"{user}-1", "confirmed")])
    shape.settle()
    bobs = _rows(shape, "bob")
    assert bobs == _rows(shape, "ann")
    assert bobs["dead_letter_rows"] == 1
    extraction = [worker for name, worker in shape.workers.items() if name.startswith("extraction")]
    for worker in extraction:
        assert worker.stop() == 0
    _log(shape, "ann", 5, 3)

    report = invoke_phospho("forget", "--user", "ann", environment=shape.client_environment())

    (tmp_path / "report.json").write_text(report)
    invoke_phospho("forget", "--verify", str(tmp_path / "report.json"), environment=shape.client_environment())
    content = json.loads(report)["report"]
    assert (content["tasks"], content["remaining_rows"]) == (5, 0)
    assert _rows(shape, "ann") == dict.fromkeys(bobs, 0)
    for worker in extraction:
        worker.start()
    shape.settle()
    # The tasks that were pending, with feedback that names only them.
    assert _rows(shape, "ann") == dict.fromkeys(bobs, 0)
    _log(shape, "ann", 100, 1)
    shape.settle()
    afterwards = _rows(shape, "ann")
    assert (afterwards["task_rows"], afterwards["feedback_rows"]) == (1, 1)
    digest = shape.digest()

    shape.stop_workers()
    shape.rewind()
    shape.start_workers()
    shape.settle()

    assert shape.digest() == digest
    assert _rows(shape, "ann") == afterwards
    assert _rows(shape, "bob") == bobs


def test_changed_report_is_not_valid(tmp_path: Path) -> None:
    from phospho_dashboard.privacy.reports import ReportSigner

    signer = ReportSigner("a key")
    signed = signer.signed({"tasks": 3, "user_id": "ann"})
    assert signer.is_valid(signed["report"], signed["signature"])
    assert not signer.is_valid({"tasks": 2, "user_id": "ann"}, signed["signature"])
    assert not ReportSigner("another key").is_valid(signed["report"], signed["signature"])
