"""Beside the stream, in `phospho up`: sessions end, history is filled in, webhooks are told; and a kill on the way."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fixtures.labels import new_label
from fixtures.shapes import OneProcess, OnKafka
from fixtures.waiting import wait_until
from phospho_store.annotations.labels import LabelRepository
from phospho_store.jobs.session_closes import SessionCloseRepository
from phospho_store.registry.definition_sets import DefinitionRepository
from phospho_store.registry.registry import Registry
from store.facts import insert, task, view
from workers.detection.tasks import keywords, semantic
from workers.jobs.receiver import Receiver, receiving

pytestmark = pytest.mark.timeout(240)

DEFINITIONS = """
definitions:
  - {name: refund, engine: keyword, scope: input, keywords: [refund]}
  - {name: bad_end, engine: keyword, scope: session, keywords: [never again]}
"""
LATER = """
definitions:
  - {name: greeting, engine: keyword, scope: input, keywords: [hello]}
"""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@pytest.fixture
def shape(up: OneProcess) -> OneProcess:
    return up.of_project("jobs")


def post(shape: OneProcess, path: str, document: dict[str, Any]) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {shape.api_key}", "Content-Type": "application/json"}
    request = urllib.request.Request(shape.base_url + path, json.dumps(document).encode(), headers, method="POST")
    with urllib.request.urlopen(request, timeout=30) as answer:
        told: dict[str, Any] = json.load(answer)
        return told


def log(shape: OneProcess, session_id: str, text: str) -> None:
    post(shape, "/api/v1/events", {"input": text, "output": "Well.", "session_id": session_id})


def apply(shape: OneProcess, tmp_path: Path, text: str) -> None:
    path = tmp_path / "definitions.yaml"
    path.write_text(text)
    shape.phospho("definitions", "apply", str(path))


def events(shape: OneProcess, name: str) -> int:
    return shape.number(f"SELECT count() FROM events WHERE name = '{name}'")


def told(receiver: Receiver) -> list[str]:
    return [json.loads(request.body)["data"]["name"] for request in receiver.received]


def test_jobs_find_and_send_everything_once_whatever_is_killed(
    shape: OneProcess, receiver: Receiver, tmp_path: Path
) -> None:
    apply(shape, tmp_path, DEFINITIONS)
    shape.phospho("webhooks", "add", receiver.url)
    log(shape, "s1", "hello, I want a refund")
    log(shape, "s1", "never again")
    wait_until(lambda: told(receiver) == ["refund"], "the event of a task was not told")
    assert events(shape, "bad_end") == 0

    post(shape, "/api/v1/sessions/s1/close", {})
    wait_until(lambda: told(receiver) == ["refund", "bad_end"], "the event of the session was not told")
    assert events(shape, "bad_end") == 1

    log(shape, "s1", "hello again")
    assert events(shape, "bad_end") == 0, "a session that goes on shows what was found in an earlier state"
    shape.process.kill()
    shape.process.start()
    shape.process.wait_until_ready()
    post(shape, "/api/v1/sessions/s1/close", {})
    wait_until(lambda: events(shape, "bad_end") == 1, "the session was not looked at after the restart")

    apply(shape, tmp_path, LATER)
    assert "3 tasks, about" in shape.phospho("backfill", "--definition", "greeting", "--dry-run")
    assert "3 tasks read, 2 events found" in shape.phospho("backfill", "--definition", "greeting")
    assert (events(shape, "greeting"), events(shape, "refund")) == (2, 1)
    wait_until(lambda: told(receiver).count("greeting") == 2, "what the backfill found was not told")

    assert sorted(told(receiver)) == ["bad_end", "greeting", "greeting", "refund"]


@pytest.mark.kafka
def test_jobs_worker_serves_a_clickhouse_server_and_stops(cluster: OnKafka) -> None:
    store = cluster.store
    registry = Registry(store)
    registry.save_definition(semantic("flight", "The user books a flight", scope="input"))
    registry.save_definition(keywords("bad_end", "never again", scope="session"))
    with cluster.worker("jobs") as process:
        process.wait_until_ready()
        insert(
            store,
            "task_rows",
            task("shop", "t1", input="a flight, please"),
            task("shop", "t2", input="never again"),
        )
        LabelRepository(store).save_labels([new_label("shop", "flight", "t1", "confirmed")])
        SessionCloseRepository(store).close("shop", "session")
        wait_until(lambda: DefinitionRepository(store).classifier("shop", "flight") is not None, "nothing was learnt")
        wait_until(lambda: len(view(store, "events", "shop")) == 2, "nothing was found in the session")
        metrics = urllib.request.urlopen(process.url("/metrics"), timeout=10).read().decode()
        assert 'phospho_job_steps_total{name="learning",outcome="more"}' in metrics
        assert process.stop() == 0
