"""A task of 50 MB, which is larger than a message of Kafka, through the SDK in both shapes."""

from __future__ import annotations

import httpx
import orjson

import phospho
from fixtures.shapes import OneProcess, OnKafka, Shape

_INPUT = 'Summarise this contract: §1 «Lieferung» "as is".\n' * 500_000
_OUTPUT = "It says, in short, that nobody owes anybody anything.\n" * 450_000


def _log_large_task(shape: Shape) -> None:
    client = phospho.Client(base_url=shape.base_url, api_key=shape.api_key)
    client.log(input=_INPUT, output=_OUTPUT, task_id="large", session_id="contracts")
    result = client.close(timeout=120)
    assert result.is_complete, (result, client.stats())


def _whole_log(shape: Shape) -> httpx.Response:
    headers = {"Authorization": f"Bearer {shape.api_key}"}
    return httpx.get(f"{shape.base_url}/api/v1/task-logs/large", headers=headers, timeout=60)


def _check(shape: Shape) -> None:
    _log_large_task(shape)
    _log_large_task(shape)
    shape.settle()
    answer = _whole_log(shape)
    assert answer.status_code == 200, answer.text[:500]
    log = orjson.loads(answer.content)
    assert (log["input"], log["output"]) == (_INPUT, _OUTPUT)
    assert shape.number("SELECT count() FROM tasks") == 1
    assert shape.number("SELECT length(input) FROM tasks") > 1_000_000
    assert shape.sql("SELECT task_id FROM analyses") == "large\n"


def test_task_of_50_mb_is_stored_whole_in_one_process(up: OneProcess) -> None:
    shape = up.of_project("large-up")
    _check(shape)


def test_task_of_50_mb_is_stored_whole_on_kafka(cluster: OnKafka) -> None:
    shape = cluster.of_project("large-kafka")
    _check(shape)
