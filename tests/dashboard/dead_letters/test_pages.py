"""The pages of dead letters: list, open, mend and replay."""

from __future__ import annotations

import html
import itertools
import re
from typing import Any

import orjson
import pytest
from starlette.testclient import TestClient

from fixtures.html_pages import Tags

SAME_SITE = {"Sec-Fetch-Site": "same-origin"}


_NUMBERS = itertools.count()


@pytest.fixture
def project(world: Any) -> str:
    """Return a project that only this test has."""
    project_id = f"settings-{next(_NUMBERS)}"
    world.registry.save_project(project_id)
    return project_id


@pytest.fixture
def pages(world: Any) -> TestClient:
    """Return the local user's browser, at a page of ours."""
    client: TestClient = world.open_pages()
    client.headers.update(SAME_SITE)
    return client


def post(pages: TestClient, path: str, project: str, **fields: str) -> Any:
    """Send a form as its page does."""
    page = pages.get(path, params={"project": project})
    token = re.search(r'name="form_token" value="([0-9a-f]{64})"', page.text)
    assert token is not None
    was = {name: text for name, text in _values(page.text).items() if name.startswith("was_")}
    return pages.post(path, params={"project": project}, data={"form_token": token[1], **was, **fields})


def _values(page: str) -> dict[str, str]:
    """Return the value of each input of a page by its name."""
    inputs = re.findall(r"<input [^>]*>", page)
    named = [(re.search(r' name="([^"]*)"', one), re.search(r' value="([^"]*)"', one)) for one in inputs]
    return {name[1]: html.unescape(value[1]) for name, value in named if name and value}


def test_a_dead_letter_is_listed_opened_mended_and_replayed(world: Any, pages: TestClient, project: str) -> None:
    letter = f"letter-{project}"
    world.add_dead_letter(letter, project, b'{"input": "hello", "flag": "maybe"')
    path = f"/settings/dead-letters/{letter}"
    world.publisher.messages.clear()

    assert letter in pages.get("/settings/dead-letters", params={"project": project}).text
    assert "invalid_json" in pages.get(path, params={"project": project}).text
    refused = post(pages, path, project, is_mended="1", payload='{"input": ')
    assert refused.status_code == 422
    assert "not JSON" in refused.text
    assert "{&#34;input&#34;: " in refused.text
    mended = post(pages, path, project, is_mended="1", payload='{"input": "hello"}')

    assert mended.status_code == 200
    assert "It is logged again" in mended.text
    [message] = world.publisher.messages
    assert orjson.loads(message.value)["input"] == "hello"
    assert orjson.loads(message.value)["project_id"] == project
    assert pages.get(f"{path}.json", params={"project": project}).json()["dead_letter"]["reason"] == "invalid_json"
    assert pages.get(path, params={"project": "mine"}).status_code == 404


def test_the_link_to_what_was_replayed_leads_to_its_page(world: Any, pages: TestClient, project: str) -> None:
    """The page of the task `report.json` has the path of the twin of `report`."""
    letter = f"letter-{project}"
    world.add_dead_letter(letter, project, b'{"input": "hello", "task_id": "a/report.json"}')

    response = post(pages, f"/settings/dead-letters/{letter}", project)

    assert Tags(response.text).links("a", "/tasks/") == [f"/tasks/a%2Freport.json?project={project}&as=page"]


def test_a_dead_letter_is_replayed_as_it_came(world: Any, pages: TestClient, project: str) -> None:
    letter = f"letter-{project}"
    world.add_dead_letter(letter, project, b'{"input": "hello"}')
    world.publisher.messages.clear()

    assert post(pages, f"/settings/dead-letters/{letter}", project).status_code == 200
    assert orjson.loads(world.publisher.messages[0].value)["input"] == "hello"


def test_dead_letters_follow_each_other_in_pages(world: Any, pages: TestClient, project: str) -> None:
    for number in range(3):
        world.add_dead_letter(f"letter-{project}-{number}", project, b"x")

    first = pages.get("/settings/dead-letters", params={"project": project, "limit": 2})
    second = pages.get(Tags(first.text).links("a", "/settings/dead-letters?")[-1])

    assert first.text.count("invalid_json") == 2
    assert second.text.count("invalid_json") == 1
