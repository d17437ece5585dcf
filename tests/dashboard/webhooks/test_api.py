"""The API of webhooks: added, shown without a secret, tested and removed."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from phospho_schemas.messages import EventDefinition


def test_a_webhook_is_added_shown_without_its_secret_and_removed(
    fake_mine: TestClient, refund: EventDefinition
) -> None:
    added = fake_mine.post("/api/v1/webhooks", json={"url": "https://example.com/hook", "events": ["refund/all"]})
    assert added.status_code == 201
    secret, webhook_id = added.json()["secret"], added.json()["webhook"]["webhook_id"]
    assert secret.startswith("whsec_")
    listed = fake_mine.get("/api/v1/webhooks")
    assert secret.removeprefix("whsec_") not in listed.text
    assert [(one["event_names"], one["with_evidence"]) for one in listed.json()["webhooks"]] == [
        (["refund/all"], False)
    ]
    tested = fake_mine.post(f"/api/v1/webhooks/{webhook_id}/test").json()
    assert tested == {"is_delivered": False, "status": 0, "detail": "nobody there"}
    assert fake_mine.delete(f"/api/v1/webhooks/{webhook_id}").status_code == 204
    assert fake_mine.get("/api/v1/webhooks").json() == {"webhooks": []}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"url": 7},
        {"url": "http://example.com"},
        {"url": "https://" + "a" * 3000},
        {"url": "https://example.com", "events": "refund"},
        {"url": "https://example.com", "events": [""]},
        {"url": "https://example.com", "events": ["x"] * 1001},
        {"url": "https://example.com", "evidence": "yes"},
    ],
)
def test_a_webhook_that_can_not_be_is_refused(fake_mine: TestClient, body: dict[str, object]) -> None:
    assert fake_mine.post("/api/v1/webhooks", json=body).status_code == 422


def test_a_webhook_of_an_event_that_nobody_has_defined_is_refused_by_name(
    fake_mine: TestClient, refund: EventDefinition
) -> None:
    for names in (["refnud"], ["refund/all", "refnud"]):
        answer = fake_mine.post("/api/v1/webhooks", json={"url": "https://example.com/hook", "events": names})
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["hint"]) == (422, "unknown_event", "define it first")
        assert error["message"] == "there is no event 'refnud' in this project"
    assert fake_mine.get("/api/v1/webhooks").json() == {"webhooks": []}


def test_without_a_secret_key_nobody_adds_a_webhook(fake_clients: dict[str, TestClient]) -> None:
    answer = fake_clients["without a secret"].post("/api/v1/webhooks", json={"url": "https://example.com"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "no_secret_key")
