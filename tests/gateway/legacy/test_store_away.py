"""While ClickHouse is away or slow, reading is a 503 that says when to come again, and logs go on being taken."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from collections.abc import Mapping
from typing import Any

import pytest

from gateway.conftest import ClientMaker
from gateway.recording import RecordingPublisher
from phospho_gateway.read_store import ReadStore
from phospho_gateway.settings import GatewaySettings
from phospho_store.errors import StatementRefused, StoreUnavailable
from phospho_store.store import Store

EVENTS = {"batched_log_events": [{"input": "a"}]}
PATHS = [
    ("GET", "/v2/tasks/t"),
    ("GET", "/v2/sessions/s"),
    ("GET", "/v2/projects/shop"),
    ("POST", "/v2/projects/shop/tasks"),
    ("POST", "/v2/projects/shop/sessions"),
]


class FailingStore(Store):
    """A store that fails, or hangs until `release` is set."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error
        self.release = threading.Event()

    def sibling(self, size: int) -> Store:
        return self

    def rows(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        if self.error is not None:
            raise self.error
        self.release.wait(10)
        return []


@pytest.fixture
def publisher() -> RecordingPublisher:
    return RecordingPublisher()


@pytest.mark.parametrize(("method", "path"), PATHS)
async def test_a_store_that_is_away_is_a_503_and_logs_are_taken(
    make_client: ClientMaker, method: str, path: str
) -> None:
    client = make_client(reads=ReadStore(FailingStore(StoreUnavailable("away")), GatewaySettings()))

    answer = await client.request(method, path)

    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "2"
    assert answer.json()["error"]["code"] == "store_unavailable"
    assert (await client.post("/v2/log/shop", json=EVENTS)).status_code == 200


async def test_what_the_store_refuses_of_ours_tells_nobody_the_statement(make_client: ClientMaker) -> None:
    client = make_client(reads=ReadStore(FailingStore(StatementRefused("SELECT secret", 62)), GatewaySettings()))

    answer = await client.get("/v2/tasks/t")

    assert answer.status_code == 500
    assert "secret" not in answer.text


async def test_hanging_store_holds_up_neither_logs_nor_more_reads_than_threads(
    make_client: ClientMaker,
) -> None:
    settings = dataclasses.replace(GatewaySettings(), read_threads=1, max_waiting_reads=1, read_timeout_s=0.5)
    store = FailingStore(None)
    client = make_client(settings=settings, reads=ReadStore(store, settings))

    waiting = [asyncio.ensure_future(client.get("/v2/tasks/t")) for _ in range(2)]
    await asyncio.sleep(0)
    logged = await client.post("/v2/log/shop", json=EVENTS)
    answers = await asyncio.gather(*waiting, client.get("/v2/tasks/t"))
    store.release.set()

    assert logged.status_code == 200
    assert {answer.status_code for answer in answers} == {503}
    assert all("retry-after" in answer.headers for answer in answers)
