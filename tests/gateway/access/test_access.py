"""API keys and projects of requests."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from fixtures.clickhouse_server import ClickHouseServer
from fixtures.waiting import STALLED_AFTER_S
from gateway.conftest import ADMIN_SECRET, ClientMaker
from gateway.recording import RecordingPublisher
from phospho_gateway.settings import GatewaySettings
from phospho_schemas.messages import ApiKey
from phospho_store.clickhouse import remote
from phospho_store.errors import StoreUnavailable
from phospho_store.migrations import migrate
from phospho_store.registry.authentication import Authenticator, Principal
from phospho_store.registry.registry import NewKey, Registry

EVENT = {"input": "a", "output": "b"}
PATHS = [
    "/api/v1/events",
    "/api/v1/events/batch",
    "/api/v1/events/e/feedback",
    "/v2/log/shop",
    "/v2/tasks/t/flag",
    "/v2/tasks/t/human-eval",
]


class AwayRegistry(Registry):
    """The registry of a store that is away."""

    def __init__(self) -> None:
        pass

    def key_of_secret(self, secret: str) -> ApiKey | None:
        raise StoreUnavailable("away")


class Clock:
    """Seconds that pass when a test says so."""

    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class CountingAuthenticator(Authenticator):
    """Counts the look-ups, each of which takes a moment."""

    def __init__(self, registry: Registry, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(registry, clock=clock)
        self.lookups = 0

    def principal(self, secret: str) -> Principal | None:
        self.lookups += 1
        return super().principal(secret)


@pytest.fixture
def revoked_secret(registry: Registry) -> str:
    """A key of `shop` that has been revoked."""
    new = registry.create_key("shop")
    registry.revoke_key("shop", new.key.key_id)
    return new.secret


@pytest.mark.parametrize("path", PATHS)
async def test_a_missing_an_unknown_and_a_revoked_key_get_the_same_401(
    path: str, client: httpx.AsyncClient, revoked_secret: str, publisher: RecordingPublisher
) -> None:
    values = ["", "Bearer", "Bearer ", "Basic abc", "ph_naked", "Bearer ph_unknown", f"Bearer {revoked_secret}"]
    values.append("Bearer " + "x" * 10_000)

    answers = [await client.post(path, json=EVENT, headers={"Authorization": value}) for value in values]

    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.text for answer in answers}) == 1
    assert answers[0].json()["error"]["code"] == "unauthorized"
    assert answers[0].headers["WWW-Authenticate"] == "Bearer"
    assert publisher.messages == []


async def test_a_key_logs_only_with_the_scope_ingest(
    client: httpx.AsyncClient, registry: Registry, publisher: RecordingPublisher
) -> None:
    bodies: dict[str, object] = {"/v2/log/shop": {"batched_log_events": [EVENT]}}
    keys = [registry.create_key("shop", scopes=scopes).secret for scopes in (["read"], ["ingest"])]
    for path in PATHS:
        body = bodies.get(path, EVENT | {"score": 1, "flag": "success", "human_eval": "success", "events": [EVENT]})
        reader, writer = [
            await client.post(path, json=body, headers={"Authorization": f"Bearer {secret}"}) for secret in keys
        ]
        assert (reader.status_code, reader.json()["error"]["code"]) == (403, "missing_scope"), path
        assert writer.status_code < 300, (path, writer.text)
    assert len(publisher.messages) == len(PATHS)


async def test_the_scheme_is_read_in_any_case(client: httpx.AsyncClient, api_key: NewKey) -> None:
    answer = await client.post("/api/v1/events", json=EVENT, headers={"Authorization": f"bearer  {api_key.secret} "})

    assert answer.status_code == 201


async def test_a_key_writes_to_no_other_project(client: httpx.AsyncClient, publisher: RecordingPublisher) -> None:
    answers = [
        await client.post("/v2/log/other", json={"batched_log_events": [EVENT]}),
        await client.post("/api/v1/events", json=EVENT, headers={"X-Phospho-Project": "other"}),
        await client.post("/api/v1/events", json=EVENT | {"project_id": "other"}),
        await client.post("/api/v1/events/e/feedback", json={"score": 1, "project_id": "other"}),
        await client.post("/v2/tasks/t/human-eval", json={"human_eval": "success", "project_id": "other"}),
    ]

    assert [answer.status_code for answer in answers] == [403] * 5
    assert {answer.json()["error"]["code"] for answer in answers} == {"wrong_project"}
    assert publisher.messages == []


async def test_an_event_of_another_project_is_refused_alone(
    client: httpx.AsyncClient, publisher: RecordingPublisher
) -> None:
    events = [EVENT | {"project_id": project} for project in ("shop", "other", 7, [], "")]

    results = (await client.post("/api/v1/events/batch", json={"events": events})).json()["results"]

    assert [result["status"] for result in results] == ["accepted", "rejected", "rejected", "rejected", "accepted"]
    assert [document["project_id"] for document in publisher.documents] == ["shop", "shop"]


async def test_an_administrator_writes_to_the_project_it_names(
    make_client: ClientMaker, publisher: RecordingPublisher
) -> None:
    client = make_client(secret=ADMIN_SECRET)

    answers = [
        await client.post("/api/v1/events", json=EVENT, headers={"X-Phospho-Project": "one"}),
        await client.post("/api/v1/events", json=EVENT | {"project_id": "two"}),
        await client.post("/v2/log/three", json={"batched_log_events": [EVENT]}),
    ]

    assert [answer.status_code for answer in answers] == [201, 201, 200]
    assert [document["project_id"] for document in publisher.documents] == ["one", "two", "three"]


async def test_an_administrator_that_names_none_or_nonsense_is_told(make_client: ClientMaker) -> None:
    client = make_client(secret=ADMIN_SECRET)

    answers = [
        await client.post("/api/v1/events", json=EVENT),
        await client.post("/api/v1/events", json=EVENT | {"project_id": "../etc"}),
        await client.post("/api/v1/events", json=EVENT, headers={"X-Phospho-Project": "a b"}),
        await client.post("/v2/log/a b", json={"batched_log_events": [EVENT]}),
        await client.post("/v2/log/one", json={"batched_log_events": [EVENT]}, headers={"X-Phospho-Project": "two"}),
    ]

    codes = [(answer.status_code, answer.json()["error"]["code"]) for answer in answers]
    assert codes[0] == (422, "project_required")
    assert codes[1:4] == [(422, "invalid_project_id")] * 3
    assert codes[4] == (403, "wrong_project")


async def test_a_store_that_is_away_is_a_503_for_a_key_that_is_not_known_yet(make_client: ClientMaker) -> None:
    answer = await make_client(authenticator=Authenticator(AwayRegistry())).post("/api/v1/events", json=EVENT)

    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "store_unavailable")
    assert answer.headers["Retry-After"] == "2"


@pytest.fixture
def clickhouse(tmp_path: Path) -> Iterator[ClickHouseServer]:
    """A ClickHouse server; what a test stopped goes on before it is ended."""
    with ClickHouseServer(tmp_path / "clickhouse") as server:
        yield server
        _signal(server, signal.SIGCONT)


async def test_a_clickhouse_that_hangs_stops_no_key_that_was_good(
    make_client: ClientMaker, clickhouse: ClickHouseServer
) -> None:
    store = remote(clickhouse.url, size=2)
    list(migrate(store))
    registry = Registry(store)
    new = registry.create_key("shop")
    clock = Clock()
    authenticator = CountingAuthenticator(registry, clock)
    settings = GatewaySettings(refresh_timeout_s=0.1, lookup_timeout_s=0.2)
    client = make_client(secret=new.secret, authenticator=authenticator, settings=settings)
    statuses = [(await client.post("/api/v1/events", json=EVENT)).status_code]

    _signal(clickhouse, signal.SIGSTOP)
    clock.now_s += 6
    statuses += [(await client.post("/api/v1/events", json=EVENT)).status_code for _ in range(3)]
    unknown = await client.post("/api/v1/events", json=EVENT, headers={"Authorization": "Bearer ph_unknown"})

    assert statuses == [201] * 4
    assert authenticator.lookups == 3, "the good key once before, once after; the unknown one once"
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (503, "store_unavailable")

    _signal(clickhouse, signal.SIGCONT)
    registry.revoke_key("shop", new.key.key_id)
    clock.now_s += 6
    assert await _status_other_than(201, client) == 401
    store.close()


async def test_too_many_look_ups_stop_no_key_that_was_good(
    make_client: ClientMaker, registry: Registry, api_key: NewKey
) -> None:
    clock = Clock()
    authenticator = CountingAuthenticator(registry, clock)
    client = make_client(authenticator=authenticator, settings=GatewaySettings(max_lookups=0))
    await asyncio.to_thread(authenticator.principal, api_key.secret)
    clock.now_s += 6

    assert (await client.post("/api/v1/events", json=EVENT)).status_code == 201


async def _status_other_than(status: int, client: httpx.AsyncClient) -> int:
    """Return the first other status, as a look-up that hung may still give the old answer."""
    deadline_s = time.monotonic() + STALLED_AFTER_S
    while (response := await client.post("/api/v1/events", json=EVENT)).status_code == status:
        assert time.monotonic() < deadline_s, f"the status stays {status}"
    return response.status_code


def _signal(server: ClickHouseServer, number: signal.Signals) -> None:
    assert server.pid is not None
    os.killpg(server.pid, number)


async def test_requests_with_the_same_unknown_key_share_one_look_up(
    make_client: ClientMaker, registry: Registry
) -> None:
    authenticator = CountingAuthenticator(registry)
    client = make_client(secret="ph_nobody", authenticator=authenticator)

    answers = await asyncio.gather(*[client.post("/api/v1/events", json=EVENT) for _ in range(20)])

    assert {answer.status_code for answer in answers} == {401}
    assert authenticator.lookups == 1


async def test_too_many_look_ups_at_once_are_a_503(make_client: ClientMaker, registry: Registry) -> None:
    client = make_client(authenticator=CountingAuthenticator(registry), settings=GatewaySettings(max_lookups=1))
    headers = [{"Authorization": f"Bearer ph_nobody{index}"} for index in range(5)]

    answers = await asyncio.gather(*[client.post("/api/v1/events", json=EVENT, headers=each) for each in headers])

    assert sorted(answer.status_code for answer in answers) == [401, 503, 503, 503, 503]


async def test_keys_and_content_never_reach_the_log(
    make_client: ClientMaker, api_key: NewKey, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    client = make_client(authenticator=Authenticator(AwayRegistry(), admin_secret=ADMIN_SECRET))

    await client.post("/api/v1/events", json=EVENT)
    await client.post("/api/v1/events", json=EVENT, headers={"Authorization": f"Bearer {ADMIN_SECRET}"})

    assert api_key.secret not in caplog.text
    assert ADMIN_SECRET not in caplog.text
