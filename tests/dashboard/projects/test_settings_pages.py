"""The settings: a project's switches and bounds, its keys, projects, dead letters; and that nothing runs in them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from starlette.testclient import TestClient

from fixtures.html_pages import ATTACK, check_page, input_values, send_form
from phospho_dashboard.settings import DashboardSettings

SAME_SITE = {"Sec-Fetch-Site": "same-origin"}


def settings_form(**changes: str) -> dict[str, str]:
    numbers = {"session_idle_minutes": "30", "llm_daily_tokens": "1000", "llm_daily_usd": "0", "llm_sample": "1"}
    numbers |= {"webhook_wait_s": "60", "max_tasks_per_day": "0"}
    return {"name": "Shop", "retention_days": "0", **numbers, **changes}


def test_switches_bounds_and_retention_are_stored_and_shown(world: Any, pages: TestClient, project: str) -> None:
    answer = send_form(
        pages,
        "/settings",
        project,
        **settings_form(retention_days="30", detect_language="1", llm_sample="0.25", confirmed="1"),
    )

    assert (answer.status_code, answer.headers["location"]) == (303, f"/settings?project={project}")
    stored = world.registry.project(project)
    assert (stored.name, stored.retention_days) == ("Shop", 30)
    assert (stored.settings.detect_events, stored.settings.detect_language) == (False, True)
    assert stored.settings.llm_sample == 0.25
    content = pages.get("/settings.json", params={"project": project}).json()["project"]
    assert content["settings"] == stored.settings.model_dump(mode="json")
    assert 'name="detect_language" value="1" checked' in pages.get("/settings", params={"project": project}).text


def test_what_a_shorter_retention_deletes_is_said_and_asked_first(world: Any, pages: TestClient, project: str) -> None:
    now = datetime.now(UTC)
    for age_days in (0, 10, 20):
        world.add_task(project, f"t{age_days}", created_at=(now - timedelta(days=age_days)).isoformat()[:19])

    response = send_form(pages, "/settings", project, **settings_form(name=ATTACK[:99], retention_days="15"))
    assert response.status_code == 200
    assert "1 older task is deleted within the hour" in response.text
    assert world.registry.project(project).retention_days == 0
    check_page(response)

    def kept_days(days: str, **confirmed: str) -> int:
        send_form(pages, "/settings", project, **settings_form(retention_days=days), **confirmed)
        return int(world.registry.project(project).retention_days)

    assert kept_days("15", confirmed="1") == 15
    # Nothing is asked of who keeps tasks for longer.
    assert kept_days("30") == 30
    assert kept_days("29") == 30
    assert kept_days("0") == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"retention_days": "-1"},
        {"retention_days": ""},
        {"session_idle_minutes": "0"},
        {"llm_sample": "x"},
        {"llm_sample": "2"},
    ],
)
def test_a_bound_that_can_not_be_is_refused_with_the_reason(
    world: Any, pages: TestClient, project: str, changes: dict[str, str]
) -> None:
    before = world.registry.project(project)

    answer = send_form(pages, "/settings", project, **settings_form(**changes))

    assert answer.status_code == 422
    assert next(iter(changes)) in re.search(r'role="alert".*?</p>', answer.text, re.S)[0]  # type: ignore[index]
    assert world.registry.project(project) == before
    # What was typed is still there to be mended, and what it would change.
    [(name, text)] = changes.items()
    shown = input_values(answer.text)
    assert (shown[name], shown["name"], shown["was_name"]) == (text, "Shop", project)


def test_of_two_admins_who_save_at_once_each_changes_what_they_changed(
    world: Any, pages: TestClient, project: str
) -> None:
    world.registry.save_project(project, "Shop", 30)
    send_form(pages, "/settings", project, **settings_form(retention_days="30", detect_language="1", detect_events="1"))
    shown = input_values(pages.get("/settings", params={"project": project}).text)
    was = {name: text for name, text in shown.items() if name.startswith("was_")}
    own = {name.removeprefix("was_"): text for name, text in was.items() if text}

    # Both have opened the page before either saves.
    assert (
        send_form(pages, "/settings", project, **own | was | {"retention_days": "7", "confirmed": "1"}).status_code
        == 303
    )
    assert send_form(pages, "/settings", project, **own | was | {"max_tasks_per_day": "9", "detect_language": ""})

    stored = world.registry.project(project)
    assert (stored.name, stored.retention_days, stored.settings.max_tasks_per_day) == ("Shop", 7, 9)
    assert (stored.settings.detect_language, stored.settings.detect_events) == (False, True)


def test_checkbox_stands_for_no_limit(world: Any, pages: TestClient, project: str) -> None:
    send_form(pages, "/settings", project, **settings_form(max_tasks_per_day="7", llm_daily_usd="0.0"))
    limited = pages.get("/settings", params={"project": project}).text

    unlimited = settings_form(max_tasks_per_day="7", was_max_tasks_per_day="7", unlimited_max_tasks_per_day="1")
    send_form(pages, "/settings", project, **unlimited)

    assert 'name="unlimited_max_tasks_per_day" value="1">' in limited
    assert 'name="unlimited_retention_days" value="1" checked>' in limited
    assert world.registry.project(project).settings.max_tasks_per_day == 0


def test_the_api_changes_what_it_names_and_leaves_the_rest(world: Any, project: str) -> None:
    client = world.client(world.registry.create_key(project).secret)
    path = f"/api/v1/projects/{project}"

    assert client.patch(path, json={"settings": {"detect_events": False}}).status_code == 200
    changed = client.patch(path, json={"retention_days": 7, "settings": {"max_tasks_per_day": 5}}).json()["project"]

    assert (changed["retention_days"], changed["settings"]["detect_events"]) == (7, False)
    assert changed["settings"]["max_tasks_per_day"] == 5
    assert client.patch(path, json={"colour": 1}).status_code == 422
    assert client.patch(path, json={"settings": {"colour": 1}}).status_code == 422
    assert client.patch(path, json={"settings": []}).status_code == 422
    assert client.patch("/api/v1/projects/theirs", json={"name": "x"}).status_code == 403


def test_a_project_is_made_once(pages: TestClient, project: str) -> None:
    new = f"{project}-new"

    assert send_form(pages, "/settings/projects", project, project_id=new, name="New").status_code == 303
    assert send_form(pages, "/settings/projects", project, project_id=new).status_code == 409
    assert send_form(pages, "/settings/projects", project, project_id="no spaces").status_code == 422
    listed = pages.get("/settings/projects.json").json()["projects"]
    assert [one["name"] for one in listed if one["project_id"] == new] == ["New"]


PAGES = ("/settings", "/settings/keys", "/settings/projects", "/settings/dead-letters", "/settings/account")


def test_nothing_that_anybody_wrote_can_run_in_the_settings(world: Any, pages: TestClient, project: str) -> None:
    world.registry.save_project(project, ATTACK[:128])
    world.registry.create_key(project, ATTACK)
    letter = f"letter-{project}"
    world.add_dead_letter(letter, project, orjson.dumps({"input": ATTACK}), reason=ATTACK, detail=ATTACK, stage=ATTACK)
    directory = world.services(DashboardSettings()).sign_ins.directory
    name = re.sub(r"\s", "", ATTACK).lower()
    if directory.people.person(name) is None:
        directory.add(name, "viewer", "correct horse battery")

    for path in (*PAGES, "/settings/people", f"/settings/dead-letters/{letter}", "/sign-in?next=" + ATTACK, "/setup"):
        check_page(pages.get(path, params=None if "?" in path else {"project": project}))
    refused = send_form(
        pages, f"/settings/dead-letters/{letter}", project, is_mended="1", payload="</textarea>" + ATTACK
    )
    check_page(refused)
    check_page(pages.post("/sign-in", data={"name": ATTACK, "password": "x"}))


@pytest.mark.parametrize("path", PAGES)
def test_each_page_has_a_twin(pages: TestClient, project: str, path: str) -> None:
    assert pages.get(path, params={"project": project}).headers["content-type"].startswith("text/html")
    assert pages.get(f"{path}.json", params={"project": project}).headers["content-type"] == "application/json"


def test_time_zone_is_an_iana_name(pages: TestClient, project: str) -> None:
    refused = send_form(pages, "/settings", project, **settings_form(time_zone="Mars/X"))
    saved = send_form(pages, "/settings", project, **settings_form(time_zone="Asia/Kolkata"))

    assert refused.status_code == 422
    assert "must be the IANA name of a time zone" in refused.text
    assert saved.status_code == 303
    assert "Asia/Kolkata</a>" in pages.get("/settings", params={"project": project}).text
