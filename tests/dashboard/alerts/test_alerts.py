"""Alerts on the pages and the API: previewed, added, muted, tested and removed, by those who may."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import Any

import pytest
from starlette.testclient import TestClient

from fixtures.html_pages import ATTACK, check_page
from phospho_cli.processes.web import build_integrations
from phospho_dashboard.alerts.alerts import AlertEdit, Alerts
from phospho_dashboard.settings import DashboardSettings
from phospho_schemas.ids import HybridClock
from phospho_schemas.rows.alerts import AlertEvaluation
from phospho_schemas.times import utc_text
from phospho_store.alerts.repository import AlertRepository
from phospho_web.problems import Problem
from phospho_workers.jobs.settings import JobSettings
from workers.jobs.receiver import Receiver, receiving

_NUMBERS = itertools.count()
PATH = "/alerts"
URL = "https://hooks.example/services/secret-part"
REFUND = {"name": "Refunds", "metric": "event_rate", "subject": "refund", "condition": "above", "threshold": 0.1}
FORM = {"metric": "event_rate", "event": "refund", "condition": "above", "threshold": "10 %", "window_minutes": "60"}


@pytest.fixture
def project(world: Any) -> str:
    project_id = f"alerts-{next(_NUMBERS)}"
    world.registry.save_project(project_id)
    world.define(project_id, "refund")
    return project_id


@pytest.fixture
def api(world: Any, project: str) -> TestClient:
    """Return a client of the API with the project's key."""
    return world.client(world.registry.create_key(project, "key").secret)  # type: ignore[no-any-return]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


def post(pages: TestClient, project: str, path: str = PATH, **fields: str) -> Any:
    """Send a form as the page does."""
    page = pages.get(PATH, params={"project": project})
    token = re.search(r'name="form_token" value="([0-9a-f]{64})"', page.text)
    assert token is not None
    return pages.post(path, params={"project": project}, data={"form_token": token[1], **fields})


def test_alert_is_added_edited_muted_and_removed(world: Any, pages: TestClient, api: TestClient, project: str) -> None:
    assert "No alerts yet" in pages.get(PATH, params={"project": project}).text
    added = post(pages, project, **FORM, format="slack", to=URL, name=ATTACK)
    assert added.status_code == 303
    [alert] = api.get("/api/v1/alerts").json()["alerts"]
    assert (alert["threshold"], alert["status"], alert["name"]) == (0.1, "new", ATTACK)
    assert [(channel["format"], channel["to"]) for channel in alert["channels"]] == [("slack", URL)]
    check_page(pages.get(PATH, params={"project": project}))
    # Channels are no webhooks of events.
    assert api.get("/api/v1/webhooks").json()["webhooks"] == []

    at = datetime.now(UTC)
    evaluation = AlertEvaluation(
        project_id=project, alert_id=alert["alert_id"], evaluated_at=at, since_at=at, status="firing", change="fired",
        value=0.25, cases=40,
    )  # fmt: skip
    AlertRepository(world.store).save_evaluations([evaluation])
    page = pages.get(added.headers["location"])
    check_page(page)
    assert "25.0%" in page.text
    assert "40 analyzed tasks" in page.text
    twin = pages.get(f"{PATH}/{alert['alert_id']}.json", params={"project": project}).json()["alert"]
    assert [change["change"] for change in twin["changes"]] == ["fired"]

    fields = {"alert_id": alert["alert_id"]}
    changes = {"name": "Refunds", "threshold": "20", "min_cases": "5", "resolve_after": "2"}
    channels = {"format": "teams", "to": URL, "removed_channel": alert["channels"][0]["channel_id"]}
    assert 'value="10"' in page.text, "the threshold is shown as it was typed"
    assert post(pages, project, f"{PATH}/edit", **fields, **changes, **channels).status_code == 303
    edited = api.get(f"/api/v1/alerts/{alert['alert_id']}").json()["alert"]
    assert (edited["name"], edited["threshold"], edited["min_cases"], edited["resolve_after"]) == ("Refunds", 0.2, 5, 2)
    assert (edited["metric"], edited["window_minutes"]) == (alert["metric"], alert["window_minutes"])
    assert [channel["format"] for channel in edited["channels"]] == ["teams"]
    assert [change["change"] for change in edited["changes"]] == ["fired"], "history stays"

    assert post(pages, project, f"{PATH}/mute", **fields, minutes="60").status_code == 303
    assert api.get("/api/v1/alerts").json()["alerts"][0]["is_muted"]
    assert not api.post(f"/api/v1/alerts/{alert['alert_id']}/mute", json={"minutes": 0}).json()["alert"]["is_muted"]
    assert post(pages, project, f"{PATH}/remove", **fields).status_code == 303
    assert api.get("/api/v1/alerts").json()["alerts"] == []
    assert world.webhooks.webhooks(project) == []
    assert api.delete(f"/api/v1/alerts/{alert['alert_id']}").status_code == 404


def test_preview_counts_how_often_an_alert_would_have_fired(
    world: Any, pages: TestClient, api: TestClient, project: str
) -> None:
    now = datetime.now(UTC)
    with world.together():
        for days, has_event in ((9, True), (6, False), (3, True), (1, False)):
            for number in range(20):
                names = ["refund"] if has_event and number < 5 else []
                at = {"created_at": utc_text(now - timedelta(days=days))}
                world.add_task(project, f"{days}-{number}", **at)
                world.add_analysis(project, f"{days}-{number}", *names, **at)
    # The session goes on: it is the days without the event that resolve the alert.
    preview = api.post("/api/v1/alerts/preview", json=REFUND | {"resolve_after": 1}).json()
    assert preview["fired"] == 2
    assert [bool(firing["resolved_at"]) for firing in preview["firings"]] == [True, True]
    assert "over 1 hour" in preview["text"]
    page = post(pages, project, f"{PATH}/preview", **FORM, resolve_after="1")
    assert "Would have fired 2 times in the last 30 days" in page.text
    assert api.get("/api/v1/alerts").json()["alerts"] == []


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"metric": "nothing"}, 422, "invalid_alert"),
        ({"subject": "unknown"}, 422, "unknown_event"),
        ({"threshold": "high"}, 422, "invalid_alert"),
        ({"window_minutes": 7}, 422, "invalid_alert"),
        ({"alert_id": "mine"}, 422, "invalid_field"),
        ({"channels": [{"format": "slack", "to": "http://127.0.0.1/hook"}]}, 422, "invalid_url"),
        ({"channels": [{"format": "fax", "to": "1"}]}, 422, "invalid_channel"),
        ({"channels": [{"format": "email", "to": "a@b.example\r\nBcc: c@d.example"}]}, 422, "invalid_address"),
        ({"channels": [{"format": "email", "to": "a@b.example"}]}, 422, "no_mail_server"),
        ({"channels": [{"format": "slack", "to": URL}] * 6}, 422, "too_many_channels"),
    ],
)
def test_bad_alert_is_refused(api: TestClient, changes: dict[str, Any], status: int, code: str) -> None:
    answer = api.post("/api/v1/alerts", json=REFUND | changes)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert api.get("/api/v1/alerts").json()["alerts"] == []


def test_form_keeps_what_was_typed_when_it_is_refused(pages: TestClient, project: str) -> None:
    page = post(pages, project, **FORM | {"threshold": "much"}, to=URL)
    assert page.status_code == 422
    assert "The threshold must be a number" in page.text
    assert f'value="{URL}"' in page.text


def test_viewer_sees_alerts_and_changes_none(world: Any, api: TestClient, project: str) -> None:
    channels = [{"format": "slack", "to": URL}]
    alert = api.post("/api/v1/alerts", json=REFUND | {"channels": channels}).json()["alert"]
    viewer = world.signed_in("viewer")
    for path in (PATH, f"{PATH}/{alert['alert_id']}"):
        page = viewer.get(path, params={"project": project})
        assert page.status_code == 200
        assert "secret-part" not in page.text
        assert "Delete" not in page.text
        assert "Create alert" not in page.text
    refused = viewer.post(f"{PATH}/remove", params={"project": project}, data={"alert_id": alert["alert_id"]})
    assert refused.status_code == 403
    assert len(api.get("/api/v1/alerts").json()["alerts"]) == 1


def test_test_message_goes_to_each_channel_signed(world: Any, project: str, receiver: Receiver) -> None:
    settings = JobSettings(secret_key="a secret", allowed_networks=(ip_network("127.0.0.0/8"),), pages_url="http://p")
    integrations = build_integrations(world.store, HybridClock(), settings)
    services = replace(world, integrations=integrations)
    client = services.client(world.registry.create_key(project, "key").secret)
    channels = [{"format": "webhook", "to": receiver.url}, {"format": "teams", "to": receiver.url}]
    added = client.post("/api/v1/alerts", json=REFUND | {"channels": channels}).json()
    assert added["channels"][0]["secret"].startswith("whsec_")
    assert "secret" not in added["channels"][1]
    outcomes = client.post(f"/api/v1/alerts/{added['alert']['alert_id']}/test").json()["channels"]
    assert [outcome["is_delivered"] for outcome in outcomes] == [True, True]
    assert b"alert.test" in receiver.received[0].body
    assert "webhook-signature" in receiver.received[0].headers
    assert f"http://p/alerts/{added['alert']['alert_id']}".encode() in receiver.received[1].body


def test_edit_by_the_api_refuses_what_it_cannot_change(api: TestClient) -> None:
    alert = api.post("/api/v1/alerts", json=REFUND).json()["alert"]
    path = f"/api/v1/alerts/{alert['alert_id']}"

    answer = api.patch(path, json={"threshold": 0.5, "channels": [{"format": "webhook", "to": URL}]})

    assert (answer.status_code, answer.json()["alert"]["threshold"]) == (200, 0.5)
    assert answer.json()["channels"][0]["secret"].startswith("whsec_")
    for body, status in (
        ({"metric": "tasks"}, 422),
        ({"resolve_after": 99}, 422),
        ({"name": ""}, 422),
        ({"removed_channels": ["other"]}, 404),
        ({"removed_channels": "x"}, 422),
        ({"channels": [{"format": "slack", "to": "http://127.0.0.1"}]}, 422),
        ({"channels": [{"format": "slack", "to": URL}] * 20}, 422),
    ):
        assert api.patch(path, json=body).status_code == status, body
    assert api.get(path).json()["alert"]["threshold"] == 0.5
    assert api.patch("/api/v1/alerts/unknown", json={}).status_code == 404


def test_edit_of_an_alert_that_was_removed_meanwhile_is_refused(world: Any, api: TestClient, project: str) -> None:
    alert_id = api.post("/api/v1/alerts", json=REFUND).json()["alert"]["alert_id"]
    services = world.services(DashboardSettings())
    alerts = Alerts(services, build_integrations(world.store, services.clock, JobSettings()).webhooks)
    read_before = alerts.alert(project, alert_id)

    alerts.mute(project, alert_id, 60)
    with pytest.raises(Problem, match="changed in the meantime"):
        alerts.edit(read_before, AlertEdit({"threshold": 0.5}), "somebody")
    alerts.remove(project, alert_id)
    with pytest.raises(Problem, match="there is no alert"):
        alerts.edit(read_before, AlertEdit({"threshold": 0.5}), "somebody")

    assert api.get("/api/v1/alerts").json()["alerts"] == []
