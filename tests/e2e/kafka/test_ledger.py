"""The ledger and receipts in both shapes: workers killed under load, rows lost on purpose, a poisoned log replayed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import orjson
import pytest
from confluent_kafka import Producer

from fixtures.phospho_process import PhosphoProcess, clean_environment
from fixtures.shapes import OneProcess, OnKafka, Shape
from fixtures.waiting import wait_until
from phospho_schemas.topics import RAW_LOGS, RECEIPTS, TASKS

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(600)]

SINK = "phospho-sink"


@pytest.fixture(scope="module")
def ledger_worker(cluster: OnKafka) -> Iterator[PhosphoProcess]:
    with cluster.worker("ledger", {"PHOSPHO_LEDGER_GRACE_S": "1"}) as worker:
        worker.wait_until_ready()
        yield worker


def api(shape: Shape) -> httpx.Client:
    headers = {"Authorization": f"Bearer {shape.api_key}"}
    return httpx.Client(base_url=shape.base_url, headers=headers, timeout=60)


def post_batch(shape: Shape, task_ids: list[str], **fields: object) -> dict[str, Any]:
    """Log tasks and a broken event in one request, and return the answer."""
    events = [{"task_id": name, "session_id": name[-1], "input": "hello", "output": "hi"} | fields for name in task_ids]
    with api(shape) as client:
        answer = client.post("/api/v1/events/batch", json={"events": [*events, {"output": "no input"}]})
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def ledger(shape: Shape) -> dict[str, Any]:
    with api(shape) as client:
        document: dict[str, Any] = client.get("/api/v1/ledger").raise_for_status().json()
    return document


def wait_for_totals(shape: Shape, **expected: int) -> dict[str, Any]:
    """Return the ledger once its totals are these."""
    found: list[dict[str, Any]] = [{}]

    def is_there() -> bool:
        found.append(ledger(shape))
        return {name: found[-1]["totals"][name] for name in expected} == expected

    wait_until(is_there, f"{expected}", progress=lambda: str(found[-1].get("totals")), poll_interval_s=0.3)
    return found[-1]


def status(shape: Shape, receipt_id: str) -> dict[str, Any]:
    with api(shape) as client:
        document: dict[str, Any] = client.get(f"/api/v1/receipts/{receipt_id}").raise_for_status().json()
    return document


def test_ledger_balances_after_workers_were_killed(cluster: OnKafka, ledger_worker: PhosphoProcess) -> None:
    shape = cluster.of_project("ledger-kills")
    receipts = []
    for number, victim in enumerate(["extraction-1", "sink", "detection-1"]):
        names = [f"t{number}-{index}" for index in range(40)]
        receipts.append(post_batch(shape, names)["receipt_id"])
        cluster.workers[victim].kill()
        receipts.append(post_batch(shape, names[:5])["receipt_id"])
        cluster.workers[victim].start()
        cluster.workers[victim].wait_until_ready()
    cluster.settle()

    balance = wait_for_totals(shape, received=141, rejected=6, accepted=135, stored=120, already_known=15, missing=0)

    assert balance["is_balanced"]
    assert balance["rejected"] == {"missing_input": 6}
    assert shape.number("SELECT count() FROM tasks") == 120
    for receipt in receipts:
        found = status(shape, receipt)
        assert (found["status"], found["rejected"]) == ("queryable", {"missing_input": 1})


def test_replay_of_all_topics_changes_no_number(cluster: OnKafka, ledger_worker: PhosphoProcess) -> None:
    shape = cluster.of_project("ledger-replay")
    post_batch(shape, ["a", "b"])
    post_batch(shape, ["b"])
    cluster.settle()
    before = wait_for_totals(shape, accepted=3, stored=2, already_known=1)["totals"]
    cluster.stop_workers()
    cluster.rewind()
    cluster.start_workers()
    cluster.settle()

    with api(shape) as client:
        checked_at = client.get("/api/v1/ledger").json()["checked_at"]
    wait_until(lambda: ledger(shape)["checked_at"] > checked_at, "the hour is not checked again", poll_interval_s=0.3)
    assert ledger(shape)["totals"] == before


def test_ledger_names_the_hour_of_a_dropped_row(cluster: OnKafka, ledger_worker: PhosphoProcess) -> None:
    shape = cluster.of_project("ledger-dropped")
    receipt = post_batch(shape, ["kept", "dropped"])["receipt_id"]
    cluster.settle()
    wait_for_totals(shape, stored=2)

    cluster.store.command("DELETE FROM task_rows WHERE project_id = 'ledger-dropped' AND task_id = 'dropped'")

    balance = wait_for_totals(shape, stored=1, missing=1)
    [hour] = balance["hours"]
    assert (balance["project_id"], balance["is_balanced"], hour["missing_ids"]) == (
        "ledger-dropped",
        False,
        ["dropped"],
    )
    assert balance["unbalanced_since"] is not None
    statuses = {log["id"]: log["status"] for log in status(shape, receipt)["logs"]}
    assert statuses["kept"] == "queryable"
    assert statuses["dropped"] != "queryable"
    said = subprocess.run(
        [sys.executable, "-m", "phospho_cli", "ledger"],
        env=clean_environment() | shape.client_environment(),
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert said.returncode == 1
    assert f"{hour['hour']}: 1 of 2 missing, such as dropped" in said.stderr


def test_ledger_finds_a_commit_before_the_insert(cluster: OnKafka, ledger_worker: PhosphoProcess) -> None:
    """A sink that commits what it has not inserted, and dies: its offsets are set to the end while it is away."""
    shape = cluster.of_project("ledger-commits")
    cluster.settle()
    sink = cluster.workers["sink"]
    assert sink.stop() == 0
    post_batch(shape, [f"skipped-{number}" for number in range(10)])
    cluster.wait_until(lambda: cluster.lag_of_stage("phospho-extraction") == 0, "extraction has not read the logs")
    cluster.skip(SINK, TASKS)
    sink.start()
    sink.wait_until_ready()
    cluster.settle()

    balance = wait_for_totals(shape, accepted=10, stored=0, missing=10)

    assert not balance["is_balanced"]
    post_batch(shape, [f"skipped-{number}" for number in range(10)])
    cluster.settle()
    again = wait_for_totals(shape, accepted=20, stored=10, already_known=10, missing=0)
    assert again["is_balanced"]


def test_poisoned_log_is_mended_replayed_and_counted_once(cluster: OnKafka, ledger_worker: PhosphoProcess) -> None:
    """A log with a receipt that extraction refuses, as if the gateway were newer than extraction."""
    shape = cluster.of_project("ledger-poison")
    receipt = post_batch(shape, ["good"])["receipt_id"]
    cluster.settle()
    [stored] = cluster.store.rows("SELECT * FROM receipt_rows FINAL WHERE project_id = 'ledger-poison'")
    row = {name: stored[name] for name in ("project_id", "source", "item_kinds")} | {
        "schema_version": 1,
        "receipt_id": "of-the-poison",
        "revision": stored["revision"] + 2,
        "received_at": stored["received_at"].replace(" ", "T") + "Z",
        "rejected": {},
        "item_ids": ["poisoned"],
        "item_revisions": [stored["revision"] + 1],
    }
    log = {
        "schema_version": 1,
        "kind": "poison",
        "project_id": "ledger-poison",
        "task_id": "poisoned",
        "input": "hello",
    }
    log |= {"revision": stored["revision"] + 1, "received_at": row["received_at"]}
    producer = Producer({"bootstrap.servers": cluster.kafka.bootstrap_servers, "acks": "all"})
    producer.produce(RAW_LOGS.name, orjson.dumps(log), b"ledger-poison:s")
    producer.produce(RECEIPTS.name, orjson.dumps(row), b"ledger-poison:r")
    assert producer.flush(30) == 0
    cluster.settle()
    wait_for_totals(shape, accepted=2, stored=1, dead_lettered=1)
    [dead] = status(shape, "of-the-poison")["logs"]
    assert (dead["status"], dead["stage"], dead["reason"]) == ("dead_lettered", "extraction", "unknown_kind")

    with api(shape) as client:
        path = f"/api/v1/dead-letters/{dead['dead_letter_id']}"
        mended = json.dumps(json.loads(client.get(path).json()["dead_letter"]["payload"]) | {"kind": "log"})
        for _ in range(2):
            client.post(f"{path}/replay", json={"payload": mended}).raise_for_status()
    cluster.settle()

    assert wait_for_totals(shape, accepted=2, stored=1, replayed=1, dead_lettered=0)["is_balanced"]
    assert shape.number("SELECT count() FROM tasks WHERE task_id = 'poisoned'") == 1
    assert status(shape, "of-the-poison")["status"] == "queryable"
    assert status(shape, receipt)["status"] == "queryable"


def test_one_process_has_receipts_and_a_ledger(up: OneProcess) -> None:
    shape = up.of_project("ledger-up")
    answer = post_batch(shape, ["a", "b", "a"])

    found = status(shape, answer["receipt_id"])

    assert (found["status"], found["accepted"], found["rejected"]) == ("queryable", 3, {"missing_input": 1})
    assert wait_for_totals(shape, received=4, rejected=1, accepted=3, stored=2, already_known=1)["is_balanced"]
    other = up.of_project("ledger-other")
    with api(other) as client:
        assert client.get(f"/api/v1/receipts/{answer['receipt_id']}").json()["logs"] == []
        assert client.get("/api/v1/receipts/unknown").status_code == 404
