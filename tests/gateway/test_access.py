"""Who may write, and to which project."""

from __future__ import annotations

import asyncio
import logging

import httpx
import pytest

from phospho_gateway.settings import GatewaySettings
from phospho_schemas.messages import ApiKey
from phospho_store.auth import Authenticator, Principal
from phospho_store.errors import StoreUnavailable
from phospho_store.registry import NewKey, Registry

from .conftest import ADMIN_SECRET, ClientMaker
from .recording import RecordingPublisher

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


class CountingAuthenticator(Authenticator):
    """Counts the look-ups, each of which takes a moment."""

    def __init__(self, registry: Registry) -> None:
        super().__init__(registry)
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
