"""The audit log: who changed what, without what was in it."""

from __future__ import annotations

from typing import Any


def _entries(client: Any) -> list[dict[str, Any]]:
    page: list[dict[str, Any]] = client.get("/api/v1/audit").json()["audit"]
    return page


def test_change_is_recorded_with_its_author_and_without_its_body(world: Any) -> None:
    client = world.client(world.keys["mine"])
    before = len(_entries(client))
    made = client.post("/api/v1/keys", json={"name": "not in the log"}).json()
    client.delete(f"/api/v1/keys/{made['key_id']}")

    revoked, created, *_ = _entries(client)

    assert len(_entries(client)) == before + 2
    assert created["action"] == "POST /api/v1/keys"
    assert revoked["action"] == f"DELETE /api/v1/keys/{made['key_id']}"
    assert {created["author"], revoked["author"]} == {"api key"}
    assert "not in the log" not in client.get("/api/v1/audit").text
    assert made["api_key"] not in client.get("/api/v1/audit").text


def test_reads_and_refused_changes_are_not_recorded(world: Any) -> None:
    client = world.client(world.keys["mine"])
    before = _entries(client)
    client.post("/api/v1/sql", json={"query": "SELECT 1"})
    client.delete("/api/v1/keys/no-such-key")
    client.get("/api/v1/keys")
    assert _entries(client) == before


def test_entries_of_another_project_are_not_shown(world: Any) -> None:
    world.client(world.keys["theirs"]).post("/api/v1/keys", json={"name": "theirs"})
    assert {entry["project_id"] for entry in _entries(world.client(world.keys["mine"]))} <= {"mine", ""}
