"""The page of a definition's backfills: estimate, start once, follow, cancel."""

from __future__ import annotations

import itertools
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient

from fixtures.html_pages import ATTACK, check_page
from phospho_dashboard.definitions.backfills import with_progress
from phospho_schemas.messages import EventDefinition
from phospho_schemas.rows.jobs import Backfill

_NUMBERS = itertools.count()
_PATH = "/definitions/backfill"


@pytest.fixture
def project(world: Any) -> str:
    """Return a project with a definition and three tasks of before it, in two of which it is."""
    project_id = f"backfills-{next(_NUMBERS)}"
    world.registry.save_project(project_id)
    for day, text in enumerate(("a flight to Lisbon", "what is the time?", "a flight back"), 1):
        at = f"2026-01-0{day}T10:00:00.000Z"
        world.add_task(project_id, f"t{day}", input=text, created_at=at)
    world.define(project_id, "flight")
    return project_id


def post(pages: TestClient, project: str, path: str = _PATH, name: str = "flight", **fields: str) -> Any:
    """Send a form as the page does."""
    query = {"project": project, "name": name}
    token = re.search(r'name="form_token" value="([0-9a-f]{64})"', pages.get(_PATH, params=query).text)
    assert token is not None
    return pages.post(path, params=query, data={"form_token": token[1], **fields})


def listed(pages: TestClient, project: str, name: str = "flight") -> list[dict[str, Any]]:
    twin = pages.get(f"{_PATH}.json", params={"project": project, "name": name}).json()
    found: list[dict[str, Any]] = twin["backfills"]
    return found


@pytest.mark.parametrize(
    ("days", "words"),
    [
        ({}, "Estimate: 3 tasks"),
        ({"from": "2026-01-02", "to": "2026-01-03"}, "Estimate: 2 tasks"),
        ({"from": "2026-01-03", "to": "2026-01-03"}, "Estimate: 1 task"),
        ({"from": "2027-01-01"}, "No tasks in this period."),
    ],
)
def test_an_estimate_says_what_it_would_cost_and_starts_nothing(
    pages: TestClient, project: str, days: dict[str, str], words: str
) -> None:
    page = post(pages, project, do="estimate", **days)

    assert page.status_code == 200
    assert words in page.text
    assert listed(pages, project) == []
    assert all(f'value="{day}"' in page.text for day in days.values())


def test_existing_tasks_are_offered_until_a_backfill_covers_them(pages: TestClient, project: str) -> None:
    query = {"project": project, "name": "flight"}
    event = f"/events/flight?project={project}"

    saved = pages.get(_PATH, params=query | {"saved": "1"}).text
    before = pages.get(event).text
    list_before = pages.get("/events", params={"project": project}).text
    started = post(pages, project, do="start")
    after = pages.get(event).text
    list_after = pages.get("/events", params={"project": project}).text

    assert "Saved as version 1" in saved
    assert "finds about" in saved
    for page in (saved, before):
        assert "Run on 3 existing tasks</button>" in page
    assert "No matches in this period" in before
    assert (started.status_code, started.headers["location"]) == (303, event)
    assert "Running on existing tasks" in after
    assert "Run on 3 existing tasks</a>" in list_before
    assert "Run on 3 existing tasks" not in after + list_after


def test_backfill_is_started_once_followed_and_stopped(world: Any, pages: TestClient, project: str) -> None:
    for _ in range(2):
        answer = post(pages, project, do="start", to="2026-01-02")
        assert (answer.status_code, answer.headers["location"]) == (303, f"/events/flight?project={project}")
    [running] = listed(pages, project)
    assert (running["status"], running["share"], running["created_by"]) == ("running", None, "local user")
    assert (running["from_at"], running["to_at"]) == (None, "2026-01-03T00:00:00.000Z")
    assert "Counting tasks…" in pages.get(_PATH, params={"project": project, "name": "flight"}).text

    known = world.backfills.backfill(project, running["backfill_id"])
    world.backfills.save(known.model_copy(update={"tasks": 400, "tasks_done": 100, "events_found": 7}))
    for path in (_PATH, "/events/flight"):
        query = {"project": project} | ({"name": "flight"} if path == _PATH else {})
        text = pages.get(path, params=query).text
        assert '<progress max="1" value="0.2500"' in text, path
        assert "100 of 400 tasks, 7 events found" in text, path

    assert post(pages, project, f"{_PATH}/cancel", backfill_id=running["backfill_id"]).status_code == 303
    assert [one["status"] for one in listed(pages, project)] == ["cancelled"]


def test_how_far_a_backfill_is_follows_from_its_pace() -> None:
    now = datetime.now(UTC)
    begun = Backfill(
        project_id="p", backfill_id="b", name="flight", definition_version=1, created_at=now,
        updated_at=now + timedelta(seconds=30), tasks=400, tasks_done=100,
    )  # fmt: skip

    assert (with_progress(begun)["share"], with_progress(begun)["seconds_left"]) == (0.25, 90.0)
    ended = with_progress(begun.model_copy(update={"status": "done", "tasks": 0, "tasks_done": 0}))
    assert (ended["share"], ended["seconds_left"]) == (1.0, None)
    assert with_progress(begun.model_copy(update={"status": "cancelled"}))["seconds_left"] is None


@pytest.mark.parametrize(
    "days",
    [{"from": "yesterday"}, {"to": "2026-1-1"}, {"from": "2026-02-01", "to": "2026-01-01"}, {"to": "9999-12-31"},
     {"from": "2026-01-01T10:00:00Z"}],
)  # fmt: skip
def test_days_that_can_not_be_are_refused_with_a_reason(pages: TestClient, project: str, days: dict[str, str]) -> None:
    page = post(pages, project, do="start", **days)

    assert page.status_code == 422
    assert 'role="alert"' in page.text
    assert listed(pages, project) == []


def test_what_is_not_there_can_not_be_run(world: Any, pages: TestClient, project: str) -> None:
    assert pages.get(_PATH, params={"project": project, "name": "absent"}).status_code == 404
    world.registry.delete_definition(project, "flight")

    page = pages.get(_PATH, params={"project": project, "name": "flight"})

    assert (page.status_code, "This definition was deleted" in page.text) == (200, True)
    token = re.search(r'name="form_token" value="([0-9a-f]{64})"', pages.get("/definitions?project=" + project).text)
    assert token is not None
    refused = pages.post(_PATH, params={"project": project, "name": "flight"}, data={"form_token": token[1]})
    assert refused.status_code == 404


def test_a_backfill_of_another_project_can_not_be_stopped(world: Any, pages: TestClient, project: str) -> None:
    world.define("theirs", "flight")
    [definition] = [one for one in world.registry.definitions("theirs") if one.name == "flight"]
    theirs = world.backfills.start(definition)

    assert post(pages, project, f"{_PATH}/cancel", backfill_id=theirs.backfill_id).status_code == 404
    assert world.backfills.backfill("theirs", theirs.backfill_id).status == "running"


def test_a_viewer_follows_a_backfill_and_starts_none(world: Any, project: str) -> None:
    viewer = world.signed_in("viewer")

    text = viewer.get(_PATH, params={"project": project, "name": "flight"}).text

    assert "Only editors can start a backfill" in text
    assert 'value="start"' not in text


def test_nothing_in_a_backfill_can_run_in_the_pages(world: Any, pages: TestClient, project: str) -> None:
    definition = EventDefinition(
        project_id=project, name=ATTACK[:128], engine="keyword", keywords=["x"], created_at=datetime.now(UTC)
    )
    started = world.backfills.start(world.registry.save_definition(definition), created_by=ATTACK)
    world.backfills.save(started.model_copy(update={"status": "failed", "detail": ATTACK, "tasks": 3}))

    check_page(pages.get(_PATH, params={"project": project, "name": ATTACK[:128]}))
    check_page(post(pages, project, name=ATTACK[:128], do="estimate", **{"from": ATTACK[:60]}))
