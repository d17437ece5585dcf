"""The API as a whole: its key, its bodies, and the one shape of its errors."""

from __future__ import annotations

import re
from typing import Any

import pytest
from starlette.testclient import TestClient

from phospho_dashboard.settings import DashboardSettings
from phospho_schemas.messages import EventDefinition


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/v1/sql"),
        ("GET", "/api/v1/definitions"),
        ("POST", "/api/v1/definitions"),
        ("DELETE", "/api/v1/definitions/x"),
        ("GET", "/api/v1/keys"),
        ("POST", "/api/v1/keys"),
        ("DELETE", "/api/v1/keys/x"),
        ("GET", "/api/v1/projects"),
        ("POST", "/api/v1/projects"),
        ("GET", "/api/v1/sessions"),
        ("GET", "/api/v1/sessions/x"),
        ("GET", "/api/v1/llm-usage"),
        ("GET", "/api/v1/dead-letters"),
        ("GET", "/api/v1/dead-letters/x"),
        ("POST", "/api/v1/dead-letters/x/replay"),
    ],
)
@pytest.mark.parametrize("header", [None, "Bearer ph_unknown", "Basic eDp5", "Bearer "])
def test_every_endpoint_asks_for_a_key_even_where_pages_are_open(
    world: Any, method: str, path: str, header: str | None
) -> None:
    client = world.open_pages()

    answer = client.request(method, path, headers={"Authorization": header} if header else {})

    assert answer.status_code == 401
    assert set(answer.json()["error"]) == {"code", "message", "hint"}
    assert answer.json()["error"]["code"] == "unauthorized"
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "malformed_json"),
        (b"\xff", 400, "malformed_json"),
        (b"[]", 422, "invalid_body"),
        (b'"x"', 422, "invalid_body"),
    ],
)
def test_a_body_that_is_no_json_object_is_refused_as_at_the_gateway(
    mine: TestClient, body: bytes, status: int, code: str
) -> None:
    answer = mine.post("/api/v1/sql", content=body)

    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_a_body_that_is_too_large_is_refused(world: Any) -> None:
    client = world.client(world.keys["mine"], DashboardSettings(max_body_bytes=100))

    assert client.post("/api/v1/sql", json={"query": "SELECT 1" + " " * 100}).status_code == 413


def test_every_endpoint_asks_for_a_key(fake_clients: dict[str, TestClient]) -> None:
    routes = [route for route in fake_clients["nobody"].app.routes if route.path != "/api/openapi.json"]  # type: ignore[attr-defined]
    for route in routes:
        path = re.sub(r"\{[^}]*\}", "x", route.path)
        for method in route.methods - {"HEAD"}:
            assert fake_clients["nobody"].request(method, path, json={}).status_code == 401, path


def test_what_is_another_projects_is_not_there(
    fake_mine: TestClient, fake_theirs: TestClient, refund: EventDefinition
) -> None:
    backfill = fake_mine.post("/api/v1/backfills", json={"definition": "refund/all"}).json()["backfill"]["backfill_id"]
    hook = fake_mine.post("/api/v1/webhooks", json={"url": "https://example.com"}).json()["webhook"]["webhook_id"]
    refused = [
        fake_theirs.get(f"/api/v1/backfills/{backfill}"),
        fake_theirs.delete(f"/api/v1/backfills/{backfill}"),
        fake_theirs.post("/api/v1/backfills", json={"definition": "refund/all"}),
        fake_theirs.get("/api/v1/definitions/refund%2Fall/history"),
        fake_theirs.post(f"/api/v1/webhooks/{hook}/test"),
        fake_theirs.delete(f"/api/v1/webhooks/{hook}"),
        fake_theirs.post("/api/v1/sessions/a%2Fb%20c/close"),
    ]
    assert [answer.status_code for answer in refused] == [404] * len(refused)
    assert fake_theirs.get("/api/v1/backfills").json() == {"backfills": []}
    assert fake_theirs.get("/api/v1/webhooks").json() == {"webhooks": []}
    fake_mine.delete(f"/api/v1/webhooks/{hook}")
