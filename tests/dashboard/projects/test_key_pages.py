"""The page of API keys."""

from __future__ import annotations

import html
import itertools
import re
from typing import Any

import pytest
from starlette.testclient import TestClient

from fixtures.html_pages import check_page

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


def test_a_key_is_shown_once_and_revoked(world: Any, pages: TestClient, project: str) -> None:
    made = post(pages, "/settings/keys", project, name="laptop")
    secret = re.search(r'class="secret">([^<]+)<', made.text)
    assert secret is not None
    assert (made.status_code, made.headers["cache-control"]) == (201, "no-store")

    assert world.client(secret[1]).get("/api/v1/keys").status_code == 200
    again = pages.get("/settings/keys", params={"project": project})
    assert secret[1] not in again.text + pages.get("/settings/keys.json", params={"project": project}).text

    key_id = pages.get("/settings/keys.json", params={"project": project}).json()["keys"][0]["key_id"]
    token = re.search(r'name="form_token" value="([0-9a-f]{64})"', again.text)[1]  # type: ignore[index]
    form = {"form_token": token, "key_id": key_id}
    assert pages.post("/settings/keys/revoke", params={"project": "mine"}, data=form).status_code == 404
    response = pages.post("/settings/keys/revoke", params={"project": project}, data=form)
    assert (response.status_code, "Revoke the key laptop" in response.text) == (200, True)
    check_page(response)
    assert world.client(secret[1]).get("/api/v1/keys").status_code == 200
    form["confirmed"] = "1"
    assert pages.post("/settings/keys/revoke", params={"project": project}, data=form).status_code == 303
    assert world.client(secret[1]).get("/api/v1/keys").status_code == 401
