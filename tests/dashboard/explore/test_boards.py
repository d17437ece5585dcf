"""Boards keep charts of Explore: people change them by forms, programs by the API."""

from __future__ import annotations

import re
from typing import Any

import pytest
from starlette.testclient import TestClient

from fixtures.html_pages import ATTACK, check_page

TILE = {"title": "Tasks by version", "query": "metric=tasks&by=version&chart=table&period=all&project=theirs"}


@pytest.fixture
def tasks(world: Any, project: str) -> str:
    with world.together():
        for number in range(6):
            world.add_task(project, f"t{number}", session_id=f"s{number}", version_id=f"v{number % 2}")
    return project


def _board(client: TestClient, project: str, name: str = "Weekly") -> dict[str, Any]:
    boards = client.get("/boards.json", params={"project": project}).json()["boards"]
    return next(board for board in boards if board["name"] == name)


def _send(client: TestClient, path: str, project: str, **fields: str) -> Any:
    page = client.get("/explore", params={"project": project}).text
    token = re.search(r'name="form_token" value="([^"]*)"', page)
    return client.post(path, params={"project": project}, data={"form_token": token[1] if token else "", **fields})


def test_board_is_made_changed_and_deleted_by_forms(world: Any, pages: TestClient, tasks: str) -> None:
    check_page(pages.get("/boards", params={"project": tasks}))
    added = _send(pages, "/boards/tiles/add", tasks, name="Weekly", **TILE)
    assert added.status_code == 303
    board_id = _board(pages, tasks)["board_id"]
    second = {"title": "Latency", "query": "metric=latency_p95", "board_id": board_id}
    assert _send(pages, "/boards/tiles/add", tasks, **second).status_code == 303
    # Only what a chart has is kept; a project of another's is not.
    assert [tile["query"] for tile in _board(pages, tasks)["tiles"]] == [
        "by=version&chart=table&period=all",
        "metric=latency_p95",
    ]
    page = pages.get(f"/boards/{board_id}", params={"project": tasks})
    check_page(page)
    assert "Tasks by version" in page.text

    def act(action: str, tile: int, **fields: str) -> int:
        query = _board(pages, tasks)["tiles"][tile]["query"]
        form = {"board_id": board_id, "tile": str(tile), "query": query, "action": action, **fields}
        return int(_send(pages, "/boards/tiles/edit", tasks, **form).status_code)

    assert act("later", 0) == 303
    assert act("rename", 0, title=ATTACK) == 303
    assert [tile["title"] for tile in _board(pages, tasks)["tiles"]] == [ATTACK, TILE["title"]]
    check_page(pages.get(f"/boards/{board_id}", params={"project": tasks}))
    assert act("remove", 0) == 303
    stale = {"board_id": board_id, "tile": "0", "query": "metric=latency_p95", "action": "remove"}
    assert _send(pages, "/boards/tiles/edit", tasks, **stale).status_code == 409
    edited = {"board_id": board_id, "name": "Daily", "description": "For Monday"}
    assert _send(pages, "/boards/edit", tasks, **edited).status_code == 303
    assert _board(pages, tasks, "Daily")["description"] == "For Monday"
    asked_first = _send(pages, "/boards/delete", tasks, board_id=board_id)
    assert "Its 1 tiles are gone" in asked_first.text
    assert _send(pages, "/boards/delete", tasks, board_id=board_id, confirmed="1").status_code == 303
    assert pages.get("/boards.json", params={"project": tasks}).json()["boards"] == []
    actions = [row["action"] for row in pages.get("/settings/audit.json", params={"project": tasks}).json()["audit"]]
    assert {"POST /boards/tiles/add", "POST /boards/delete"} <= set(actions)


def test_board_shows_its_numbers_and_shares_a_period(pages: TestClient, tasks: str) -> None:
    _send(pages, "/boards/tiles/add", tasks, name="Weekly", **TILE)
    path = f"/boards/{_board(pages, tasks)['board_id']}"
    twin = pages.get(f"{path}.json", params={"project": tasks}).json()
    assert [(row["value"], row["number"]) for row in twin["tiles"][0]["rows"]] == [("v0", 3), ("v1", 3)]
    in_period = pages.get(f"{path}.json", params={"project": tasks, "period": "1h"}).json()
    assert in_period["tiles"][0]["total"]["cases"] == 0


def test_boards_of_the_api_are_checked(world: Any, fresh: TestClient) -> None:
    created = fresh.post("/api/v1/boards", json={"name": "By API", "tiles": [TILE]})
    assert created.status_code == 201
    path = f"/api/v1/boards/{created.json()['board']['board_id']}"
    changed = fresh.patch(path, json={"tiles": [TILE | {"title": "b"}, TILE | {"title": "a"}]}).json()["board"]
    assert [tile["title"] for tile in changed["tiles"]] == ["b", "a"]
    assert len(fresh.get(path).json()["tiles"]) == 2
    for body, code in (
        ({"name": ""}, "invalid_name"),
        ({"name": 3}, "invalid_name"),
        ({"name": "x", "owner": "y"}, "invalid_field"),
        ({"name": "x", "tiles": [TILE] * 25}, "invalid_tiles"),
        ({"name": "x", "tiles": ["y"]}, "invalid_tiles"),
        ({"name": "x", "tiles": [{"title": "y", "query": "metric=event_rate&subject=refund"}]}, "unknown_filter"),
        ({"name": "x", "tiles": [{"title": "y", "query": "metric=nothing"}]}, "invalid_metric"),
    ):
        answer = fresh.post("/api/v1/boards", json=body)
        assert (answer.status_code in (400, 422), answer.json()["error"]["code"]) == (True, code)
    assert fresh.delete(path).status_code == 204
    assert fresh.get(path).json()["error"]["code"] == "unknown_board"


def test_viewers_read_boards_and_change_nothing(world: Any, pages: TestClient, tasks: str) -> None:
    _send(pages, "/boards/tiles/add", tasks, name="Weekly", **TILE)
    board_id, viewer = _board(pages, tasks)["board_id"], world.signed_in("viewer")
    page = viewer.get(f"/boards/{board_id}", params={"project": tasks})
    assert page.status_code == 200
    assert "Edit tile" not in page.text
    assert "Edit board" not in page.text
    assert "Editors can add this chart" in viewer.get("/explore", params={"project": tasks}).text
    assert _send(viewer, "/boards/edit", tasks, board_id=board_id, name="x").status_code == 403
