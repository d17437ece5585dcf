"""Definitions on the pages: written, previewed on recent tasks, changed, compared, deleted; and what to label next."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from starlette.testclient import TestClient

from fixtures.html_pages import ATTACK, check_page
from fixtures.waiting import wait_until
from phospho_dashboard.definitions.trials import PREVIEW_TASKS
from phospho_schemas.definitions.engines import ENGINE_SPECS, engine_spec
from phospho_schemas.messages import EventDefinition

_NUMBERS = itertools.count()
FLIGHT = {"name": "flight", "engine": "keyword", "scope": "input", "keywords": "flight\r\n  plane ticket \r\n"}


@pytest.fixture
def project(world: Any) -> str:
    """Return a project with three tasks, two of which are about flights."""
    project_id = f"definitions-{next(_NUMBERS)}"
    world.registry.save_project(project_id)
    for number, text in enumerate(("a flight to Lisbon", "what is the time?", "a plane ticket, please")):
        world.add_task(project_id, f"t{number}", input=text, created_at=f"2026-01-01T10:00:0{number}.000Z")
    return project_id


def post(pages: TestClient, project: str, path: str = "/definitions", **fields: str) -> Any:
    """Send a form as the page of a definition does."""
    page = pages.get("/definitions", params={"project": project, "name": fields.get("name", "")})
    if page.status_code == 404:
        page = pages.get("/definitions", params={"project": project})
    token = re.search(r'name="form_token" value="([0-9a-f]{64})"', page.text)
    base = re.search(r'name="base_version" value="([0-9]+)"', page.text)
    assert token is not None
    assert base is not None
    data = {"form_token": token[1], "project": project, "base_version": base[1], **fields}
    return pages.post(path, data=data)


def test_a_preview_shows_what_would_be_found_and_stores_nothing(world: Any, pages: TestClient, project: str) -> None:
    page = post(pages, project, **FLIGHT, do="preview")

    assert page.status_code == 200
    assert "2 matches in the last 3 tasks" in page.text
    assert "a flight to Lisbon" in page.text
    assert "what is the time?" not in page.text
    assert world.registry.definitions(project) == []
    # What was typed is still there to be saved.
    assert "plane ticket</textarea>" in page.text


def test_save_refuses_a_semantic_definition_without_room(
    world: Any, pages: TestClient, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ENGINE_SPECS, "semantic", replace(engine_spec("semantic"), max_per_project=0))

    thanks = {"name": "thanks", "engine": "semantic", "scope": "input", "description": "The user says thanks"}
    answer = post(pages, project, **thanks, do="save")

    assert answer.status_code == 422
    assert "Delete one that is not needed" in answer.text
    assert world.registry.definitions(project) == []


def test_a_definition_is_saved_as_it_was_previewed(world: Any, pages: TestClient, project: str) -> None:
    # The form hides the threshold and the pattern of other engines, and sends them all the same.
    answer = post(pages, project, **FLIGHT, do="save", threshold="0.5", pattern="x", is_last_task="1")

    offer = f"/definitions/backfill?project={project}&name=flight&saved=1"
    assert (answer.status_code, answer.headers["location"]) == (303, offer)
    [saved] = world.registry.definitions(project)
    assert (saved.version, saved.keywords, saved.threshold) == (1, ["flight", "plane ticket"], None)
    assert saved.is_last_task


def test_a_preview_of_a_change_says_what_is_found_no_longer(world: Any, pages: TestClient, project: str) -> None:
    post(pages, project, **FLIGHT, do="save")
    world.add_analysis(project, "t0", "flight")
    world.add_analysis(project, "t2", "flight")

    page = post(pages, project, **{**FLIGHT, "keywords": "ticket"}, do="preview")

    assert "1 match in the last 3 tasks" in page.text
    assert "The saved version matches 2." in page.text
    assert "a flight to Lisbon" in page.text.partition("Lost matches")[2]


def test_the_preview_reads_the_newest_tasks_and_not_all(world: Any, pages: TestClient, project: str) -> None:
    with world.together():
        for number in range(PREVIEW_TASKS + 5):
            at = f"2026-02-01T10:{number // 60:02}:{number % 60:02}.000Z"
            world.add_task(project, f"n{number}", input="a flight", created_at=at)

    page = post(pages, project, **FLIGHT, do="preview")

    assert f"{PREVIEW_TASKS} matches in the last {PREVIEW_TASKS} tasks" in page.text


def test_the_api_previews_too(world: Any, project: str) -> None:
    client = world.client(world.registry.create_key(project).secret)
    definition = {"name": "flight", "engine": "keyword", "keywords": ["flight"]}

    content = client.post("/api/v1/definitions/preview", json={"definition": definition}).json()

    assert (content["tasks"], content["found_now"], content["found_before"]) == (3, 1, 0)
    assert content["found"][0]["task_id"] == "t0"
    assert client.post("/api/v1/definitions/preview", json={"definition": {"name": "x"}}).status_code in {200, 422}
    assert client.post("/api/v1/definitions/preview", json={}).status_code == 422


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"engine": "regex", "pattern": "("}, "This pattern does not compile"),
        ({"engine": "magic"}, "Engine"),
        ({"engine": "semantic", "threshold": "2"}, "Threshold"),
        ({"name": ""}, "Name"),
        ({"context_turns": "99"}, "context_turns"),
    ],
)
def test_a_definition_that_can_not_work_is_shown_again_with_the_reason(
    world: Any, pages: TestClient, project: str, changes: dict[str, str], words: str
) -> None:
    for do in ("preview", "save"):
        page = post(pages, project, **{**FLIGHT, **changes}, do=do)
        assert page.status_code == 422
        assert words in page.text.partition('role="alert"')[2][:400]
        assert "plane ticket</textarea>" in page.text
    assert world.registry.definitions(project) == []


def test_second_change_of_a_version_is_shown_and_may_be_saved(world: Any, pages: TestClient, project: str) -> None:
    post(pages, project, **FLIGHT, do="save")
    post(pages, project, **{**FLIGHT, "keywords": "plane"}, do="save", base_version="1")

    response = post(pages, project, **{**FLIGHT, "keywords": "ticket"}, do="save", base_version="1")

    assert response.status_code == 409
    assert "version 2 by now" in response.text
    assert "ticket</textarea>" in response.text
    assert 'name="base_version" value="2"' in response.text
    assert [one.keywords for one in world.registry.definitions(project)] == [["plane"]]
    # A preview is of the version that the form was opened with, whatever is stored by now.
    preview = post(pages, project, **{**FLIGHT, "keywords": "ticket"}, do="preview", base_version="1")
    assert 'name="base_version" value="1"' in preview.text
    assert post(pages, project, **{**FLIGHT, "keywords": "ticket"}, do="save", base_version="2").status_code == 303


def test_a_new_event_replaces_none_of_its_name(world: Any, pages: TestClient, project: str) -> None:
    post(pages, project, **FLIGHT, do="save")

    other = {"name": "flight", "engine": "semantic", "scope": "input", "description": "The user flies"}
    response = post(pages, project, **other, do="save", base_version="0")

    assert response.status_code == 409
    assert "already" in response.text
    assert 'name="base_version" value="0"' in response.text
    assert [one.engine for one in world.registry.definitions(project)] == ["keyword"]
    # One that was deleted is free again.
    post(pages, project, "/definitions/delete", name="flight", confirmed="1")
    assert post(pages, project, **FLIGHT, do="save", base_version="0").status_code == 303


@pytest.mark.parametrize("base_version", ["", "-1", "x", "9" * 10])
def test_a_form_that_does_not_say_what_it_changes_is_refused(
    world: Any, pages: TestClient, project: str, base_version: str
) -> None:
    answer = post(pages, project, **FLIGHT, do="save", base_version=base_version)

    assert answer.status_code == 422
    assert world.registry.definitions(project) == []


def test_versions_say_what_each_has_changed(world: Any, pages: TestClient, project: str) -> None:
    post(pages, project, **FLIGHT, do="save")
    post(pages, project, **{**FLIGHT, "scope": "task", "keywords": "ticket"}, do="save")
    world.add_analysis(project, "t0", "flight")
    response = post(pages, project, "/definitions/delete", name="flight")
    assert (response.status_code, "Its events in 1 task stay until re-analysis." in response.text) == (200, True)
    check_page(response)
    assert len(world.registry.definitions(project)) == 1
    post(pages, project, "/definitions/delete", name="flight", confirmed="1")

    twin = pages.get("/definitions.json", params={"project": project, "name": "flight"}).json()

    assert twin["definition"] is None
    assert [(one["version"], one["is_deleted"]) for one in twin["versions"]] == [(3, True), (2, False), (1, False)]
    assert twin["versions"][1]["changes"] == [
        {"field": "scope", "before": "input", "after": "task"},
        {"field": "keywords", "before": ["flight", "plane ticket"], "after": ["ticket"]},
    ]
    assert pages.get("/definitions", params={"project": project, "name": "flight"}).status_code == 200
    assert pages.get("/definitions", params={"project": project, "name": "absent"}).status_code == 404
    assert post(pages, project, "/definitions/delete", name="flight").status_code == 404


def test_a_version_is_compared_with_the_one_before_it_on_the_latest_tasks(
    world: Any, pages: TestClient, project: str
) -> None:
    post(pages, project, **FLIGHT, do="save")
    post(pages, project, **{**FLIGHT, "keywords": "ticket\ntime"}, do="save")
    query = {"project": project, "name": "flight"}

    content = pages.get("/definitions/diff.json", params=query).json()
    first = pages.get("/definitions/diff.json", params={**query, "version": "1"}).json()

    assert (content["from_version"], content["to_version"], content["tasks"]) == (1, 2, 3)
    assert (content["newly_found"], content["no_longer_found"], content["found_by_both"]) == (1, 1, 1)
    assert [change["field"] for change in content["changes"]] == ["keywords"]
    assert (first["from_version"], first["newly_found"]) == (None, 2)
    page = pages.get("/definitions/diff", params=query)
    assert "what is the time?" in page.text
    check_page(page)
    assert "version=2" in pages.get("/definitions", params=query).text
    assert pages.get("/definitions/diff", params={**query, "version": "9"}).status_code == 404
    assert pages.get("/definitions/diff", params={**query, "name": "absent"}).status_code == 404
    assert world.signed_in("viewer").get("/definitions/diff", params=query).status_code == 403


def test_what_is_nearest_the_border_is_to_be_labelled_next(world: Any, pages: TestClient, project: str) -> None:
    for task_id, score in (("t0", 0.9), ("t1", 0.4), ("t2", 0.6)):
        event = {"id": task_id, "name": "flight", "engine": "semantic", "scope": "input", "score": score}
        world.add_analysis(project, task_id, events=[event])
    world.define(project, "flight")

    def queued() -> list[str]:
        twin = pages.get("/definitions/queue.json", params={"project": project, "name": "flight"}).json()
        return [task["task_id"] for task in twin["tasks"]]

    assert queued() == ["t1", "t2", "t0"]
    label = {"event": "flight", "label": "rejected", "task_id": "t1", "next": "/"}
    assert post(pages, project, "/annotations/label", **label).status_code == 303
    assert queued() == ["t2", "t0"]
    text = pages.get("/definitions/queue", params={"project": project, "name": "flight"}).text
    assert text.count('value="confirmed"') == 2


@pytest.mark.parametrize("path", ["/definitions/queue", "/definitions/queue.json"])
def test_an_event_that_nobody_has_defined_has_no_queue(pages: TestClient, project: str, path: str) -> None:
    for query in ({"name": "x"}, {}):
        assert pages.get(path, params={"project": project, **query}).status_code == 404


@pytest.mark.parametrize("fields", [{"scope": "session"}, {"is_last_task": True}, {"context_turns": 2}], ids=str)
def test_what_is_read_with_its_session_is_labelled_where_it_stands(
    world: Any, pages: TestClient, project: str, fields: dict[str, Any]
) -> None:
    given: dict[str, Any] = {"project_id": project, "name": "travel", "created_at": datetime.now(UTC)}
    definition = EventDefinition.model_validate(given | {"description": "The user wants to travel"} | fields)
    world.registry.save_definition(definition)

    queue = pages.get("/definitions/queue", params={"project": project, "name": "travel"})
    event = pages.get("/events/travel", params={"project": project}).text

    assert "Label this event in its sessions" in queue.text
    assert f'href="/sessions?project={project}&amp;event=travel&amp;period=all"' in queue.text
    assert "Nothing to label" not in queue.text
    assert "/definitions/queue" not in event
    assert f'href="/sessions?project={project}&amp;event=travel">Label sessions</a>' in event


def test_tasks_that_do_not_have_the_event_may_teach_it_too(world: Any, pages: TestClient, project: str) -> None:
    """A semantic definition learns from what it did not find as well."""
    definition = EventDefinition(
        project_id=project, name="travel", description="The user wants to travel", created_at=datetime.now(UTC)
    )
    world.registry.save_definition(definition)

    def queue() -> Any:
        return pages.get("/definitions/queue", params={"project": project, "name": "travel"})

    wait_until(lambda: "Nothing to label" not in queue().text, "the queue stays empty")

    tags = check_page(queue())
    assert [value for _, name, value in tags.attributes if name == "data-task"] != []
    assert queue().text.count('value="rejected"') == 3


def test_events_lead_to_their_definition_and_their_queue(pages: TestClient, project: str) -> None:
    post(pages, project, **FLIGHT, do="save")

    event = pages.get("/events/flight", params={"project": project}).text

    assert f"/definitions?project={project}&amp;name=flight" in event
    assert f"/definitions/queue?project={project}&amp;name=flight" in event
    assert f'href="/definitions?project={project}"' in pages.get("/events", params={"project": project}).text


def test_nothing_in_a_definition_can_run_in_a_page(world: Any, pages: TestClient, project: str) -> None:
    world.add_task(project, ATTACK, input=ATTACK + " flight", output=ATTACK)
    event = {"id": "x", "name": ATTACK[:128], "engine": "keyword", "scope": "input", "score": 1, "evidence": ATTACK}
    world.add_analysis(project, ATTACK, events=[event])
    fields = {"description": ATTACK, "pattern": ATTACK, "keywords": f"</textarea>{ATTACK}\nflight", "threshold": ATTACK}
    attack = {**FLIGHT, **fields, "name": ATTACK[:128], "categories": ATTACK}

    check_page(post(pages, project, **attack, do="preview"))
    check_page(post(pages, project, **{**attack, "threshold": ""}, do="preview"))
    assert post(pages, project, **{**attack, "threshold": ""}, do="save").status_code == 303
    post(pages, project, **{**attack, "threshold": "", "description": ATTACK[::-1]}, do="save")
    for path in ("/definitions", "/definitions/queue", "/definitions/diff"):
        check_page(pages.get(path, params={"project": project, "name": ATTACK[:128]}))
    check_page(pages.get("/events", params={"project": project}))
