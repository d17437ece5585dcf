"""The API of API keys: one secret, shown once."""

from __future__ import annotations

from typing import Any

from starlette.testclient import TestClient


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
        times = {"created_at", "expires_at", "revoked_at"}
        assert set(key) == {"key_id", "project_id", "prefix", "name", "scopes", *times}


def test_rotated_key_works_beside_its_heir_for_the_grace(world: Any, fresh: TestClient) -> None:
    made = fresh.post("/api/v1/keys", json={"name": "app", "scopes": ["read"]}).json()
    heir = fresh.post(f"/api/v1/keys/{made['key_id']}/rotate", json={"grace_hours": 2})
    assert (heir.status_code, heir.json()["name"], heir.json()["scopes"]) == (201, "app", ["read"])
    for secret in (made["api_key"], heir.json()["api_key"]):
        assert world.client(secret).get("/api/v1/keys").status_code == 200
    ends = {key["key_id"]: key["expires_at"] for key in fresh.get("/api/v1/keys").json()["keys"]}
    assert ends[made["key_id"]] is not None
    assert ends[heir.json()["key_id"]] is None

    at_once = fresh.post(f"/api/v1/keys/{heir.json()['key_id']}/rotate", json={"grace_hours": 0})
    assert at_once.status_code == 201
    assert fresh.post(f"/api/v1/keys/{heir.json()['key_id']}/rotate", json={}).status_code == 404
    assert world.client(at_once.json()["api_key"]).get("/api/v1/keys").status_code == 200
    assert fresh.post(f"/api/v1/keys/{made['key_id']}/rotate", json={"grace_hours": -1}).status_code == 422


def test_a_key_of_another_project_can_not_be_revoked(mine: TestClient, world: Any) -> None:
    theirs = world.registry.keys("theirs")[0]

    assert mine.delete(f"/api/v1/keys/{theirs.key_id}").status_code == 404
    assert world.registry.keys("theirs")[0].revoked_at is None


def test_a_project_key_that_names_another_project_is_refused(mine: TestClient) -> None:
    answer = mine.get("/api/v1/keys", headers={"X-Phospho-Project": "theirs"})

    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "wrong_project")
