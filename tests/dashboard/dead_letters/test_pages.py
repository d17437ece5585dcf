"""The pages of dead letters: list, open, mend and replay."""

from __future__ import annotations

from typing import Any

import orjson
from starlette.testclient import TestClient

from fixtures.html_pages import Tags, send_form

SAME_SITE = {"Sec-Fetch-Site": "same-origin"}


def test_a_dead_letter_is_listed_opened_mended_and_replayed(world: Any, pages: TestClient, project: str) -> None:
    letter = f"letter-{project}"
    world.add_dead_letter(letter, project, b'{"input": "hello", "flag": "maybe"')
    path = f"/settings/dead-letters/{letter}"
    world.publisher.messages.clear()

    assert letter in pages.get("/settings/dead-letters", params={"project": project}).text
    assert "invalid_json" in pages.get(path, params={"project": project}).text
    refused = send_form(pages, path, project, is_mended="1", payload='{"input": ')
    assert refused.status_code == 422
    assert "not JSON" in refused.text
    assert "{&#34;input&#34;: " in refused.text
    mended = send_form(pages, path, project, is_mended="1", payload='{"input": "hello"}')

    assert mended.status_code == 200
    assert "Replayed as " in mended.text
    [message] = world.publisher.messages
    assert orjson.loads(message.value)["input"] == "hello"
    assert orjson.loads(message.value)["project_id"] == project
    assert pages.get(f"{path}.json", params={"project": project}).json()["dead_letter"]["reason"] == "invalid_json"
    assert pages.get(path, params={"project": "mine"}).status_code == 404


def test_the_link_to_what_was_replayed_leads_to_its_page(world: Any, pages: TestClient, project: str) -> None:
    """The page of the task `report.json` has the path of the twin of `report`."""
    letter = f"letter-{project}"
    world.add_dead_letter(letter, project, b'{"input": "hello", "task_id": "a/report.json"}')

    response = send_form(pages, f"/settings/dead-letters/{letter}", project)

    assert Tags(response.text).links("a", "/tasks/") == [f"/tasks/a%2Freport.json?project={project}&as=page"]


def test_a_dead_letter_is_replayed_as_it_came(world: Any, pages: TestClient, project: str) -> None:
    letter = f"letter-{project}"
    world.add_dead_letter(letter, project, b'{"input": "hello"}')
    world.publisher.messages.clear()

    assert send_form(pages, f"/settings/dead-letters/{letter}", project).status_code == 200
    assert orjson.loads(world.publisher.messages[0].value)["input"] == "hello"


def test_dead_letters_follow_each_other_in_pages(world: Any, pages: TestClient, project: str) -> None:
    for number in range(3):
        world.add_dead_letter(f"letter-{project}-{number}", project, b"x")

    first = pages.get("/settings/dead-letters", params={"project": project, "limit": 2})
    second = pages.get(Tags(first.text).links("a", "/settings/dead-letters?")[-1])

    assert first.text.count('<span class="badge bad">invalid_json') == 2
    assert second.text.count('<span class="badge bad">invalid_json') == 1


def test_dead_letters_of_a_reason_are_replayed_or_dropped_together(world: Any, pages: TestClient, project: str) -> None:
    for number in range(2):
        world.add_dead_letter(f"{project}-a{number}", project, b'{"input": "hello"}', reason="too_deep")
        world.add_dead_letter(f"{project}-b{number}", project, b"broken")
    world.publisher.messages.clear()
    path = "/settings/dead-letters"

    replayed = send_form(pages, path, project, action="replay", stage="extraction", reason="too_deep")
    failed = send_form(pages, path, project, action="replay", stage="extraction", reason="invalid_json")
    dropped = send_form(pages, path, project, action="drop", stage="extraction", reason="invalid_json")

    assert "Replayed 2 dead letters." in replayed.text
    assert len(world.publisher.messages) == 2
    assert "Replayed 0 dead letters. 2 can't be replayed as they are." in failed.text
    assert "Dropped 2 dead letters." in dropped.text
    counts = pages.get(f"{path}.json", params={"project": project}).json()["counts"]
    assert {row["reason"]: (row["waiting"], row["replayed"], row["dropped"]) for row in counts} == {
        "too_deep": (0, 2, 0),
        "invalid_json": (0, 0, 2),
    }


def test_a_dead_letter_is_dropped_and_says_so(world: Any, pages: TestClient, project: str) -> None:
    world.add_dead_letter(f"letter-{project}", project, b"x")

    dropped = send_form(pages, f"/settings/dead-letters/letter-{project}", project, action="drop")

    assert '<span class="badge">dropped</span>' in dropped.text
    shown = pages.get("/settings/dead-letters", params={"project": project, "status": "dropped"})
    assert '<span class="badge">dropped</span>' in shown.text
    twin = pages.get("/settings/dead-letters.json", params={"project": project, "status": "dropped"}).json()
    assert [row["status"] for row in twin["dead_letters"]] == ["dropped"]
    waiting = pages.get("/settings/dead-letters", params={"project": project, "status": "waiting"})
    assert "No dead letters match these filters." in waiting.text
