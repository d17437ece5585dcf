"""The API of backfills: started once, followed and cancelled."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from phospho_schemas.messages import EventDefinition


def test_a_backfill_of_no_time_is_refused(fake_mine: TestClient, refund: EventDefinition) -> None:
    for ends in (("2026-02-01", "2026-01-01"), ("2026-02-01", "2026-02-01T00:00Z")):
        body = {"definition": "refund", "from": ends[0], "to": ends[1]}
        for dry_run in (True, False):
            answer = fake_mine.post("/api/v1/backfills", json=body | {"dry_run": dry_run})
            assert (answer.status_code, answer.json()["error"]["message"]) == (422, "'from' must be before 'to'")


def test_a_backfill_is_asked_for_once_followed_and_stopped(fake_mine: TestClient, refund: EventDefinition) -> None:
    body = {"definition": "refund/all", "from": "2026-01-01", "to": "2026-02-01T00:00:00+01:00"}
    answer = fake_mine.post("/api/v1/backfills", json=body)
    assert answer.status_code == 201
    backfill = answer.json()["backfill"]
    assert (backfill["from_at"], backfill["to_at"]) == ("2026-01-01T00:00:00.000Z", "2026-01-31T23:00:00.000Z")
    assert fake_mine.post("/api/v1/backfills", json=body).json()["backfill"]["backfill_id"] == backfill["backfill_id"]
    path = f"/api/v1/backfills/{backfill['backfill_id']}"
    assert fake_mine.get(path).json()["backfill"]["status"] == "running"
    assert fake_mine.delete(path).json()["backfill"]["status"] == "cancelled"
    assert [one["status"] for one in fake_mine.get("/api/v1/backfills").json()["backfills"]] == ["cancelled"]


def test_a_dry_run_is_an_estimate_and_starts_nothing(fake_mine: TestClient, refund: EventDefinition) -> None:
    before = fake_mine.get("/api/v1/backfills").json()
    answer = fake_mine.post("/api/v1/backfills", json={"definition": "refund/all", "dry_run": True})
    assert answer.json() == {"estimate": {"tasks": 7, "from": "None", "to": "None"}}
    assert fake_mine.get("/api/v1/backfills").json() == before


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"definition": "unknown"}, 404, "unknown_definition"),
        ({"definition": 7}, 422, "invalid_field"),
        ({}, 422, "invalid_field"),
        ({"definition": "refund/all", "from": "yesterday"}, 422, "invalid_field"),
        ({"definition": "refund/all", "from": 5}, 422, "invalid_field"),
    ],
)
def test_what_can_not_be_backfilled_is_refused_with_a_reason(
    fake_mine: TestClient, refund: EventDefinition, body: dict[str, object], status: int, code: str
) -> None:
    answer = fake_mine.post("/api/v1/backfills", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
