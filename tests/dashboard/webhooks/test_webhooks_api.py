"""What jobs do, by the API: backfills, diffs, webhooks and closed sessions, each of one's own project alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from dashboard.conftest import MINE, THEIRS, World, refuse_bad_words
from phospho_dashboard.app import Integrations, api_routes
from phospho_dashboard.definitions.detection import Detection
from phospho_dashboard.services import create_services
from phospho_dashboard.settings import DashboardSettings
from phospho_dashboard.webhooks.sending import WebhookSending
from phospho_schemas.messages import ClassifierRow, EventDefinition
from phospho_store.jobs.webhooks import WebhookRepository
from phospho_store.registry.authentication import Authenticator
from phospho_store.registry.definition_sets import DefinitionRepository
from workers.detection.tasks import keywords


@dataclass(frozen=True)
class Sent:
    status: int
    detail: str = ""


def compared(old: EventDefinition | None, new: EventDefinition, tasks: int) -> dict[str, object]:
    return {"tasks": tasks, "newly_found": len(new.keywords), "no_longer_found": len(old.keywords) if old else 0}


@pytest.fixture
def fake_integrations(world: World) -> Integrations:
    detection = Detection(
        check=refuse_bad_words,
        estimate=lambda definition, from_at, to_at: {"tasks": 7, "from": str(from_at), "to": str(to_at)},
        diff=compared,
        label_queue=lambda project_id, name, count: [f"{project_id}-{name}"][:count],
    )
    webhooks = WebhookSending(
        repository=WebhookRepository(world.store),
        secret_of=lambda webhook: "whsec_" + webhook.salt,
        url_refusal=lambda url: None if url.startswith("https://") else "it must begin with https://",
        send_test=lambda webhook: Sent(0, "nobody there"),
    )
    return Integrations(detection, webhooks)


@pytest.fixture
def clients(world: World, fake_integrations: Integrations) -> Iterator[dict[str, TestClient]]:
    def client(key: str, integrations: Integrations) -> TestClient:
        authenticator = Authenticator(world.registry, ttl_s=0.0)
        services = create_services(DashboardSettings(), world.store, world.registry, authenticator)
        closing.append(services)
        headers = {"Authorization": f"Bearer {key}"}
        return TestClient(Starlette(routes=api_routes(services, integrations)), headers=headers)

    closing: list = []
    without_secret = replace(fake_integrations, webhooks=replace(fake_integrations.webhooks, repository=None))
    yield {
        MINE: client(world.keys[MINE], fake_integrations),
        THEIRS: client(world.keys[THEIRS], fake_integrations),
        "without a secret": client(world.keys[MINE], without_secret),
        "nobody": client("ph_nobody", fake_integrations),
    }
    for services in closing:
        services.close()


@pytest.fixture
def mine(clients: dict[str, TestClient]) -> TestClient:
    return clients[MINE]


@pytest.fixture
def theirs(clients: dict[str, TestClient]) -> TestClient:
    return clients[THEIRS]


@pytest.fixture
def refund(world: World) -> EventDefinition:
    return world.registry.save_definition(keywords("refund/all", "refund", project_id=MINE))


def test_every_endpoint_asks_for_a_key(clients: dict[str, TestClient]) -> None:
    routes = [route for route in clients["nobody"].app.routes if route.path != "/api/openapi.json"]  # type: ignore[attr-defined]
    for route in routes:
        path = re.sub(r"\{[^}]*\}", "x", route.path)
        for method in route.methods - {"HEAD"}:
            assert clients["nobody"].request(method, path, json={}).status_code == 401, path


def test_a_backfill_of_no_time_is_refused(mine: TestClient, refund: EventDefinition) -> None:
    for ends in (("2026-02-01", "2026-01-01"), ("2026-02-01", "2026-02-01")):
        wanted = {"definition": "refund", "from": ends[0], "to": ends[1]}
        for dry_run in (True, False):
            answer = mine.post("/api/v1/backfills", json=wanted | {"dry_run": dry_run})
            assert (answer.status_code, answer.json()["error"]["message"]) == (422, "'from' must be before 'to'")


def test_a_backfill_is_asked_for_once_followed_and_stopped(mine: TestClient, refund: EventDefinition) -> None:
    wanted = {"definition": "refund/all", "from": "2026-01-01", "to": "2026-02-01T00:00:00+01:00"}
    answer = mine.post("/api/v1/backfills", json=wanted)
    assert answer.status_code == 201
    backfill = answer.json()["backfill"]
    assert (backfill["from_at"], backfill["to_at"]) == ("2026-01-01T00:00:00.000Z", "2026-01-31T23:00:00.000Z")
    assert mine.post("/api/v1/backfills", json=wanted).json()["backfill"]["backfill_id"] == backfill["backfill_id"]
    path = f"/api/v1/backfills/{backfill['backfill_id']}"
    assert mine.get(path).json()["backfill"]["status"] == "running"
    assert mine.delete(path).json()["backfill"]["status"] == "cancelled"
    assert [one["status"] for one in mine.get("/api/v1/backfills").json()["backfills"]] == ["cancelled"]


def test_a_dry_run_is_an_estimate_and_starts_nothing(mine: TestClient, refund: EventDefinition) -> None:
    before = mine.get("/api/v1/backfills").json()
    answer = mine.post("/api/v1/backfills", json={"definition": "refund/all", "dry_run": True})
    assert answer.json() == {"estimate": {"tasks": 7, "from": "None", "to": "None"}}
    assert mine.get("/api/v1/backfills").json() == before


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
    mine: TestClient, refund: EventDefinition, body: dict[str, object], status: int, code: str
) -> None:
    answer = mine.post("/api/v1/backfills", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_versions_are_listed_and_compared(world: World, mine: TestClient) -> None:
    for words in (["a"], ["a", "b"]):
        world.registry.save_definition(keywords("versioned", *words, project_id=MINE))
    versions = mine.get("/api/v1/definitions/versioned/history").json()["versions"]
    assert [(one["version"], one["keywords"]) for one in versions] == [(2, ["a", "b"]), (1, ["a"])]

    stored = mine.post("/api/v1/definitions/versioned/diff", json={}).json()
    assert (stored["from_version"], stored["to_version"], stored["newly_found"], stored["tasks"]) == (1, 2, 2, 2000)
    given = {"definition": {"engine": "keyword", "keywords": ["a", "b", "c"], "project_id": THEIRS}, "tasks": 5}
    wanted = mine.post("/api/v1/definitions/versioned/diff", json=given).json()
    assert (wanted["from_version"], wanted["to_version"], wanted["newly_found"], wanted["tasks"]) == (2, 3, 3, 5)
    new = mine.post("/api/v1/definitions/new/diff", json=given).json()
    assert (new["from_version"], new["to_version"]) == (None, 1)


@pytest.mark.parametrize(
    "body", [{"tasks": 0}, {"tasks": 10**9}, {"tasks": True}, {"definition": 7}, {"definition": {"pattern": "("}}]
)
def test_a_diff_that_can_not_be_is_refused(mine: TestClient, refund: EventDefinition, body: dict[str, object]) -> None:
    assert mine.post("/api/v1/definitions/refund%2Fall/diff", json=body).status_code == 422


def test_what_labels_have_taught_is_told(world: World, mine: TestClient, refund: EventDefinition) -> None:
    told = {"name": "refund/all", "version": refund.version, "tasks_to_label": [f"{MINE}-refund/all"]}
    path = "/api/v1/definitions/refund%2Fall/learning"
    assert mine.get(path).json() == told | {"classifier_version": None, "quality": None}
    classifier = {"project_id": MINE, "name": "refund/all", "version": 3, "definition_version": 1, "labels_digest": "d"}
    created = {"classifier": "", "quality": '{"confirmed": 2}', "created_at": "2026-01-01T00:00:00Z"}
    DefinitionRepository(world.store).save_classifier(ClassifierRow.model_validate(classifier | created))
    assert mine.get(path).json() == told | {"classifier_version": 3, "quality": {"confirmed": 2}}


def test_a_webhook_is_added_shown_without_its_secret_and_removed(mine: TestClient, refund: EventDefinition) -> None:
    added = mine.post("/api/v1/webhooks", json={"url": "https://example.com/hook", "events": ["refund/all"]})
    assert added.status_code == 201
    secret, webhook_id = added.json()["secret"], added.json()["webhook"]["webhook_id"]
    assert secret.startswith("whsec_")
    listed = mine.get("/api/v1/webhooks")
    assert secret.removeprefix("whsec_") not in listed.text
    assert [(one["event_names"], one["with_evidence"]) for one in listed.json()["webhooks"]] == [
        (["refund/all"], False)
    ]
    tested = mine.post(f"/api/v1/webhooks/{webhook_id}/test").json()
    assert tested == {"is_delivered": False, "status": 0, "detail": "nobody there"}
    assert mine.delete(f"/api/v1/webhooks/{webhook_id}").status_code == 204
    assert mine.get("/api/v1/webhooks").json() == {"webhooks": []}


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
def test_a_webhook_that_can_not_be_is_refused(mine: TestClient, body: dict[str, object]) -> None:
    assert mine.post("/api/v1/webhooks", json=body).status_code == 422


def test_a_webhook_of_an_event_that_nobody_has_defined_is_refused_by_name(
    mine: TestClient, refund: EventDefinition
) -> None:
    for names in (["refnud"], ["refund/all", "refnud"]):
        answer = mine.post("/api/v1/webhooks", json={"url": "https://example.com/hook", "events": names})
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["hint"]) == (422, "unknown_event", "define it first")
        assert error["message"] == "there is no event 'refnud' in this project"
    assert mine.get("/api/v1/webhooks").json() == {"webhooks": []}


def test_without_a_secret_key_nobody_adds_a_webhook(clients: dict[str, TestClient]) -> None:
    answer = clients["without a secret"].post("/api/v1/webhooks", json={"url": "https://example.com"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "no_secret_key")


def test_a_session_is_closed_once_it_is_there(world: World, mine: TestClient) -> None:
    world.add_task(MINE, "closing", session_id="a/b c")
    assert mine.post("/api/v1/sessions/a%2Fb%20c/close").json()["closing"]["session_id"] == "a/b c"
    assert mine.post("/api/v1/sessions/unknown/close").status_code == 404


def test_what_is_another_projects_is_not_there(mine: TestClient, theirs: TestClient, refund: EventDefinition) -> None:
    backfill = mine.post("/api/v1/backfills", json={"definition": "refund/all"}).json()["backfill"]["backfill_id"]
    hook = mine.post("/api/v1/webhooks", json={"url": "https://example.com"}).json()["webhook"]["webhook_id"]
    refused = [
        theirs.get(f"/api/v1/backfills/{backfill}"),
        theirs.delete(f"/api/v1/backfills/{backfill}"),
        theirs.post("/api/v1/backfills", json={"definition": "refund/all"}),
        theirs.get("/api/v1/definitions/refund%2Fall/history"),
        theirs.post(f"/api/v1/webhooks/{hook}/test"),
        theirs.delete(f"/api/v1/webhooks/{hook}"),
        theirs.post("/api/v1/sessions/a%2Fb%20c/close"),
    ]
    assert [answer.status_code for answer in refused] == [404] * len(refused)
    assert theirs.get("/api/v1/backfills").json() == {"backfills": []}
    assert theirs.get("/api/v1/webhooks").json() == {"webhooks": []}
    mine.delete(f"/api/v1/webhooks/{hook}")
