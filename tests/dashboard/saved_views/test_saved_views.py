"""Saved views of lists: saved, opened by their address, replaced and removed."""

from __future__ import annotations

import re
from typing import Any

from starlette.testclient import TestClient

from fixtures.html_pages import ATTACK, check_page

API = "/api/v1/saved-views"


def post(pages: TestClient, project: str, path: str, **fields: str) -> Any:
    page = pages.get("/tasks", params={"project": project, "model": "m"})
    token = re.search(r'name="form_token" value="([0-9a-f]{64})"', page.text)
    assert token is not None, page.text
    return pages.post(path, params={"project": project}, data={"form_token": token[1], **fields})


def test_view_is_saved_opened_and_removed(world: Any, pages: TestClient, project: str) -> None:
    world.add_task(project, "t-1", model="m")
    query = {"project": project, "model": "m", "sort": "oldest", "columns": ["output", "time"]}
    page = pages.get("/tasks", params=query)
    check_page(page)
    shown_query = re.search(r'name="query" value="([^"]*)"', page.text)
    assert shown_query is not None
    assert shown_query[1] == "model=m&amp;sort=oldest&amp;columns=output%2Ctime"

    saved = post(pages, project, "/saved-views/save", page="tasks", name=ATTACK, query="model=m&sort=oldest")
    page = pages.get(saved.headers["location"])

    assert saved.status_code == 303
    assert saved.headers["location"] == f"/tasks?project={project}&model=m&sort=oldest"
    check_page(page)
    assert 'aria-current="true">&lt;' in page.text
    assert "Delete view" not in pages.get("/sessions", params={"project": project}).text, "a view is of one list"
    view_id = re.search(r'name="view_id" value="([^"]+)"', page.text)
    assert view_id is not None
    assert post(pages, project, "/saved-views/remove", view_id=view_id[1]).status_code == 303
    assert "Delete view" not in pages.get("/tasks", params={"project": project}).text


def test_view_of_the_api_keeps_filters_only_and_is_replaced_by_name(fresh: TestClient) -> None:
    body = {"page": "sessions", "name": "pro", "query": "where=metadata.plan%3Dpro&cursor=x&next=//evil.example"}
    first = fresh.post(API, json=body).json()["saved_view"]
    second = fresh.post(API, json=body | {"query": "?flag=failure"}).json()["saved_view"]

    assert first["query"] == "where=metadata.plan%3Dpro"
    assert first["path"].startswith("/sessions?project=")
    assert [view["query"] for view in fresh.get(API).json()["saved_views"]] == ["flag=failure"]
    assert first["view_id"] == second["view_id"]
    assert fresh.delete(f"{API}/{first['view_id']}").status_code == 204
    assert fresh.get(API).json()["saved_views"] == []
    assert fresh.delete(f"{API}/{first['view_id']}").status_code == 404


def test_view_that_is_wrong_is_refused(fresh: TestClient) -> None:
    body = {"page": "tasks", "name": "n", "query": "flag=failure"}
    for changes, status in (
        ({"page": "users"}, 422),
        ({"name": " "}, 422),
        ({"query": "flag=maybe"}, 400),
        ({"query": "q=" + "x" * 5000}, 422),
        ({"query": "where=nonsense"}, 400),
    ):
        assert fresh.post(API, json=body | changes).status_code == status, changes
