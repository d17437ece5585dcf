"""The page of webhooks: added with a secret that is shown once, tried, sent again, removed; and nothing runs in it."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from starlette.testclient import TestClient

from fixtures.html_pages import ATTACK, check_page
from phospho_dashboard.app import create_app
from phospho_dashboard.settings import DashboardSettings
from phospho_schemas.rows.webhooks import WebhookDelivery
from phospho_store.jobs.webhooks import MAX_WEBHOOKS

_NUMBERS = itertools.count()
_PATH = "/settings/webhooks"
URL = "https://shop.example/hook"


@pytest.fixture
def project(world: Any) -> str:
    project_id = f"webhooks-{next(_NUMBERS)}"
    world.registry.save_project(project_id)
    world.define(project_id, "refund")
    return project_id


def post(pages: TestClient, project: str, path: str = _PATH, **fields: str) -> Any:
    """Send a form as the page does."""
    page = pages.get(_PATH, params={"project": project})
    token = re.search(r'name="form_token" value="([0-9a-f]{64})"', page.text)
    assert token is not None
    return pages.post(path, params={"project": project}, data={"form_token": token[1], **fields})


def listed(pages: TestClient, project: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pages.get(f"{_PATH}.json", params={"project": project}).json()["webhooks"]
    return found


def give_up(world: Any, project: str, webhook_id: str, event_id: str, detail: str, name: str = "refund") -> None:
    payload = {"data": {"name": name, "task_id": f"of {event_id}", "session_id": "s"}}
    now = datetime.now(UTC)
    delivery = WebhookDelivery(
        project_id=project, webhook_id=webhook_id, event_id=event_id, status="dead", attempts=8, next_attempt_at=now,
        payload=orjson.dumps(payload).decode(), found_at=now, detail=detail, created_at=now,
    )  # fmt: skip
    world.webhooks.save_deliveries([delivery])


def test_a_webhook_is_added_and_its_secret_is_shown_once(world: Any, pages: TestClient, project: str) -> None:
    assert "No webhooks yet" in pages.get(_PATH, params={"project": project}).text

    added = post(pages, project, url=URL, event="refund")

    assert added.status_code == 201
    [webhook] = world.webhooks.webhooks(project)
    secret = world.integrations.webhooks.secret_of(webhook)
    assert secret in added.text
    assert (webhook.event_names, webhook.created_by) == (["refund"], "local user")
    for again in (_PATH, f"{_PATH}.json"):
        assert secret not in pages.get(again, params={"project": project}).text
    [shown] = listed(pages, project)
    assert (shown["url"], shown["delivered"], shown["pending"], shown["dead"]) == (URL, 0, 0, 0)
    assert webhook.salt not in orjson.dumps(shown).decode()


def test_the_words_of_a_task_are_told_to_whom_it_was_said_for(pages: TestClient, project: str) -> None:
    post(pages, project, url=URL)
    post(pages, project, url=URL, evidence="yes")
    assert [one["with_evidence"] for one in listed(pages, project)] == [False, True]
    assert pages.get(_PATH, params={"project": project}).text.count("Includes the matching text.") == 1


@pytest.mark.parametrize(("url", "words"), [("", "must begin with"), ("ftp://shop.example", "must begin with")])
def test_a_url_that_can_not_be_is_shown_again_with_the_reason(
    pages: TestClient, project: str, url: str, words: str
) -> None:
    answer = post(pages, project, url=url, event="refund")

    assert answer.status_code == 422
    assert words in answer.text.partition('role="alert"')[2][:400]
    assert 'value="refund" checked' in answer.text
    assert listed(pages, project) == []


def test_an_event_that_was_deleted_in_the_meantime_is_refused_by_name(
    world: Any, pages: TestClient, project: str
) -> None:
    world.registry.delete_definition(project, "refund")

    answer = post(pages, project, url=URL, event="refund")

    assert answer.status_code == 422
    assert "There is no event &#39;refund&#39;" in answer.text
    assert listed(pages, project) == []


def test_a_project_has_so_many_webhooks_and_no_more(world: Any, pages: TestClient, project: str) -> None:
    for _ in range(MAX_WEBHOOKS):
        world.webhooks.add(project, URL)

    assert post(pages, project, url=URL).status_code == 409


def test_what_was_given_up_says_why_and_goes_into_the_queue_again(world: Any, pages: TestClient, project: str) -> None:
    post(pages, project, url=URL)
    [webhook] = world.webhooks.webhooks(project)
    for number in range(3):
        give_up(world, project, webhook.webhook_id, f"e{number}", f"it answered HTTP 50{number}")

    [shown] = listed(pages, project)
    assert [one["detail"] for one in shown["dead_deliveries"]] == [f"it answered HTTP 50{n}" for n in (2, 1, 0)]
    assert (shown["dead"], shown["last_failure"]) == (3, "it answered HTTP 502")
    assert "it answered HTTP 500" in pages.get(_PATH, params={"project": project}).text

    answer = post(pages, project, f"{_PATH}/send-again", webhook_id=webhook.webhook_id)

    assert (answer.status_code, answer.headers["location"]) == (303, f"{_PATH}?project={project}")
    [shown] = listed(pages, project)
    assert (shown["pending"], shown["dead"], shown["dead_deliveries"]) == (3, 0, [])
    assert [one.attempts for one in world.webhooks.pending(project, webhook.webhook_id, 10)] == [0, 0, 0]


def test_a_webhook_is_tried_and_removed(world: Any, pages: TestClient, project: str) -> None:
    """An address of this machine, to which no webhook may go unless its network is allowed, is refused at once."""
    refused = post(pages, project, url="http://127.0.0.1:9/hook")
    assert "PHOSPHO_WEBHOOK_ALLOWED_NETWORKS" in refused.text
    world.webhooks.add(project, "http://127.0.0.1:9/hook")
    [webhook] = world.webhooks.webhooks(project)

    tried = post(pages, project, f"{_PATH}/test", webhook_id=webhook.webhook_id)
    assert tried.status_code == 200
    assert "The test message failed" in tried.text

    assert post(pages, project, f"{_PATH}/remove", webhook_id=webhook.webhook_id).status_code == 303
    assert listed(pages, project) == []
    for act in ("remove", "test", "send-again"):
        assert post(pages, project, f"{_PATH}/{act}", webhook_id=webhook.webhook_id).status_code == 404


def test_a_webhook_of_another_project_is_not_there(world: Any, pages: TestClient, project: str) -> None:
    theirs = world.webhooks.add("theirs", URL)

    for act in ("remove", "test", "send-again"):
        assert post(pages, project, f"{_PATH}/{act}", webhook_id=theirs.webhook_id).status_code == 404
    assert [one.webhook_id for one in world.webhooks.webhooks("theirs")] == [theirs.webhook_id]


def test_a_viewer_sees_webhooks_without_their_paths_and_no_form(world: Any, project: str) -> None:
    """Anybody who knows the URL of a chat's webhook can write to the chat."""
    world.webhooks.add(project, URL)
    viewer = world.signed_in("viewer")

    text = viewer.get(_PATH, params={"project": project}).text

    assert "https://shop.example/…" in text
    assert URL not in text + viewer.get(f"{_PATH}.json", params={"project": project}).text
    assert f'action="{_PATH}' not in text


def test_without_a_secret_key_the_page_says_what_is_missing(world: Any, project: str) -> None:
    services = world.services(DashboardSettings(pages_open=True))
    integrations = replace(world.integrations, webhooks=replace(world.integrations.webhooks, repository=None))
    page = TestClient(create_app(services, integrations), "http://127.0.0.1:8420").get(
        _PATH, params={"project": project}
    )

    assert page.status_code == 503
    assert "PHOSPHO_SECRET_KEY" in page.text
    check_page(page)


def test_nothing_in_a_webhook_can_run_in_the_page(world: Any, pages: TestClient, project: str) -> None:
    world.define(project, ATTACK[:128])
    webhook = world.webhooks.add(project, f"https://shop.example/{ATTACK}", [ATTACK[:128]], ATTACK)
    give_up(world, project, webhook.webhook_id, ATTACK, ATTACK, ATTACK)

    check_page(pages.get(_PATH, params={"project": project}))
    check_page(post(pages, project, url=ATTACK, event=ATTACK[:128]))
