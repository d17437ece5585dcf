"""The API of projects."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient


@pytest.mark.parametrize(
    "path", ["labels", "dead-letters", "backfills", "definitions", "webhooks", "projects", "keys", "llm-usage"]
)
def test_lists_refuse_a_parameter_that_they_do_not_have(mine: TestClient, path: str) -> None:
    refused = mine.get(f"/api/v1/{path}", params={"nonsense": "x"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "unknown_filter")
    assert mine.get(f"/api/v1/{path}", params={"project": "mine"}).status_code == 200


def test_a_misspelt_parameter_is_answered_with_the_right_one(mine: TestClient) -> None:
    error = mine.get("/api/v1/dead-letters", params={"limits": "1"}).json()["error"]
    assert error["hint"].startswith("did you mean 'limit'? known: ")


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
