"""The management API: who may do what, and the one shape of its errors."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from starlette.testclient import TestClient

from phospho_dashboard.settings import DashboardSettings
from phospho_schemas.engines import ENGINE_SPECS, engine_spec

KEYWORD = {
    "name": "greeting",
    "description": "says hello",
    "engine": "keyword",
    "scope": "input",
    "keywords": ["hello"],
}


@pytest.fixture
def fresh(world: Any, request: pytest.FixtureRequest) -> TestClient:
    """Return a client with the key of a project that only this test has."""
    project_id = request.node.name.replace("_", "-")[:100]
    world.registry.save_project(project_id)
    return world.client(world.registry.create_key(project_id).secret)


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


def test_a_definition_is_created_then_unchanged_then_changed_then_deleted(fresh: TestClient) -> None:
    def applied(**changes: object) -> dict[str, Any]:
        answer = fresh.post("/api/v1/definitions", json={"definitions": [KEYWORD | changes]})
        assert answer.status_code == 200
        return dict(answer.json()["results"][0])

    assert applied() == {"name": "greeting", "version": 1, "status": "created"}
    assert applied() == {"name": "greeting", "version": 1, "status": "unchanged"}
    assert applied(keywords=["hello", "hi"]) == {"name": "greeting", "version": 2, "status": "changed"}
    listed = fresh.get("/api/v1/definitions").json()["definitions"]
    assert [(d["name"], d["keywords"]) for d in listed] == [("greeting", ["hello", "hi"])]

    assert fresh.delete("/api/v1/definitions/greeting").status_code == 204
    assert fresh.get("/api/v1/definitions").json() == {"definitions": []}
    assert fresh.delete("/api/v1/definitions/greeting").status_code == 404


def test_what_the_api_lists_can_be_sent_back(fresh: TestClient) -> None:
    fresh.post("/api/v1/definitions", json={"definitions": [KEYWORD]})

    listed = fresh.get("/api/v1/definitions").json()

    assert fresh.post("/api/v1/definitions", json=listed).json()["results"][0]["status"] == "unchanged"


def test_a_definition_that_cannot_work_is_rejected_and_the_others_are_applied(fresh: TestClient) -> None:
    wanted = [
        {"name": "a", "engine": "regex", "pattern": "("},
        {"name": "b", "engine": "magic"},
        {"name": "c", "keyword": ["typo"]},
        {"description": "no name"},
        "not an object",
        KEYWORD,
    ]

    answer = fresh.post("/api/v1/definitions", json={"definitions": wanted})

    assert answer.status_code == 200
    statuses = [result["status"] for result in answer.json()["results"]]
    assert statuses == ["rejected"] * 5 + ["created"]
    assert answer.json()["results"][0]["error"]["message"] == "this pattern does not compile"
    assert "keyword" in answer.json()["results"][2]["error"]["message"]


# What a definition should not say, and words of the reason.
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"pattern": "a"}, "reads no pattern"),
    ({"threshold": 0.5}, "reads no threshold"),
    ({"engine": "semantic", "keywords": [], "description": "..."}, "reads English"),
    ({"engine": "semantic", "keywords": [], "description": "Пользователь недоволен"}, "reads English"),
    ({"keywords": ["a"] * 10_000}, "at most 1000 are taken, not 10000"),
    ({"name": " "}, "a space"),
    ({"name": "flight "}, "a space"),
    ({"name": "a\0b"}, "does not show"),
    ({"name": "\u202egnp"}, "does not show"),
    ({"name": ".."}, "is no name"),
    ({"name": "a.json"}, ".json"),
]


def test_a_definition_that_would_do_other_than_it_says_is_rejected(fresh: TestClient) -> None:
    for changes, words in REFUSED:
        answer = fresh.post("/api/v1/definitions", json={"definitions": [KEYWORD | changes]})

        assert answer.status_code == 422, changes
        assert words in answer.json()["results"][0]["error"]["message"]
    assert fresh.get("/api/v1/definitions").json() == {"definitions": []}


def test_a_semantic_definition_that_there_is_no_room_for_is_rejected_alone(
    fresh: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ENGINE_SPECS, "semantic", replace(engine_spec("semantic"), max_per_project=1))
    semantic = [{"name": name, "description": "The user says thanks"} for name in ("b", "a")]

    answer = fresh.post("/api/v1/definitions", json={"definitions": [*semantic, KEYWORD]})

    results = answer.json()["results"]
    assert [result["status"] for result in results] == ["created", "rejected", "created"]
    assert "has room for 1 definitions" in results[1]["error"]["message"]
    assert results[1]["error"]["hint"]
    alone = fresh.post("/api/v1/definitions", json={"definitions": semantic[1:]})
    assert (alone.status_code, alone.json()["results"][0]["error"]["code"]) == (422, "too_many_definitions")


def test_names_that_can_be_taken_for_one_another_are_not_both_applied(fresh: TestClient) -> None:
    def applied(*names: str) -> list[str]:
        body = {"definitions": [KEYWORD | {"name": name} for name in names]}
        return [result["status"] for result in fresh.post("/api/v1/definitions", json=body).json()["results"]]

    assert applied("greeting", "twice", "twice") == ["created", "rejected", "rejected"]
    assert applied("Greeting", "ｇreeting", "GREETING  x") == ["rejected", "rejected", "created"]
    assert applied("STRASSE", "straße", "greeting") == ["rejected", "rejected", "unchanged"]
    assert sorted(d["name"] for d in fresh.get("/api/v1/definitions").json()["definitions"]) == [
        "GREETING  x",
        "greeting",
    ]


def test_definitions_are_deleted_together_or_not_at_all(world: Any, fresh: TestClient) -> None:
    names = ["a", "b/c", "", ".."]
    fresh.post("/api/v1/definitions", json={"definitions": [KEYWORD | {"name": name} for name in names[:2]]})

    assert fresh.post("/api/v1/definitions/delete", json={"names": names}).status_code == 404
    assert len(fresh.get("/api/v1/definitions").json()["definitions"]) == 2
    assert fresh.post("/api/v1/definitions/delete", json={"names": names[:2]}).status_code == 204
    assert fresh.get("/api/v1/definitions").json() == {"definitions": []}
    for nonsense in ({}, {"names": []}, {"names": [1]}, {"names": "a"}):
        assert fresh.post("/api/v1/definitions/delete", json=nonsense).status_code == 422


def test_applying_nothing_that_works_is_an_error(fresh: TestClient) -> None:
    assert fresh.post("/api/v1/definitions", json={"definitions": ["x"]}).status_code == 422
    assert fresh.post("/api/v1/definitions", json={"definitions": []}).status_code == 422
    assert fresh.post("/api/v1/definitions", json={}).status_code == 422


def test_a_key_is_shown_once_works_and_stops_working_when_revoked(world: Any, fresh: TestClient) -> None:
    made = fresh.post("/api/v1/keys", json={"name": "laptop"})
    assert made.status_code == 201
    secret, key_id = made.json()["api_key"], made.json()["key_id"]
    client = world.client(secret)

    assert client.get("/api/v1/keys").status_code == 200
    assert secret not in client.get("/api/v1/keys").text
    revoked = fresh.delete(f"/api/v1/keys/{key_id}")

    assert revoked.status_code == 200
    assert revoked.json()["revoked_at"] is not None
    assert client.get("/api/v1/keys").status_code == 401


def test_the_list_of_keys_has_no_secret_and_no_hash(fresh: TestClient) -> None:
    for key in fresh.get("/api/v1/keys").json()["keys"]:
        assert set(key) == {"key_id", "project_id", "prefix", "name", "created_at", "revoked_at"}


def test_a_key_of_another_project_can_not_be_revoked(mine: TestClient, world: Any) -> None:
    theirs = world.registry.keys("theirs")[0]

    assert mine.delete(f"/api/v1/keys/{theirs.key_id}").status_code == 404
    assert world.registry.keys("theirs")[0].revoked_at is None


def test_a_project_key_sees_its_own_project_and_makes_none(mine: TestClient) -> None:
    assert [p["project_id"] for p in mine.get("/api/v1/projects").json()["projects"]] == ["mine"]
    refused = mine.post("/api/v1/projects", json={"project_id": "new"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "admin_only")


def test_an_administrator_makes_a_project_once_and_acts_on_it_by_header(admin: TestClient) -> None:
    made = admin.post("/api/v1/projects", json={"project_id": "made", "retention_days": 30})
    assert (made.status_code, made.json()["project"]["retention_days"]) == (201, 30)
    assert admin.post("/api/v1/projects", json={"project_id": "made"}).status_code == 409
    assert admin.post("/api/v1/projects", json={"project_id": "no spaces"}).status_code == 422
    assert admin.post("/api/v1/projects", json={}).status_code == 422

    key = admin.post("/api/v1/keys", headers={"X-Phospho-Project": "made"}).json()

    assert key["project_id"] == "made"
    assert admin.get("/api/v1/keys", headers={"X-Phospho-Project": "absent"}).status_code == 404


def test_a_project_key_that_names_another_project_is_refused(mine: TestClient) -> None:
    answer = mine.get("/api/v1/keys", headers={"X-Phospho-Project": "theirs"})

    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "wrong_project")


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
