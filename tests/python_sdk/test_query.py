"""The query client: pages, retries and data frames, against a server that answers as the query API does."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

import phospho
from phospho import query as query_module
from phospho.query import Query, Rows

ROWS = Rows([{"task_id": "t1", "tokens_in": 1, "tags": ["a"]}, {"task_id": "t2", "tokens_in": None, "tags": []}])


@pytest.fixture
def paths(server: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the paths that the server is asked for. It says 503 first, and has two pages of tasks."""
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    monkeypatch.setattr(query_module, "_SQL_PAGE", 2)
    paths: list[str] = []

    def script(request: Any) -> Any:
        path = request.path
        if path == "/api/v1/sql":
            path = request.document["query"]
        paths.append(path)
        if len(paths) == 1:
            return server.error(503, "unavailable")
        if "FROM events" in path:
            numbers = [2] if " > (" in path else [0, 1]
            rows = [{"id": f"e{n}", "task_id": "t'", "at_ms": str(n), "name": "refund"} for n in numbers]
            return server.reply(b"\n".join(json.dumps(row).encode() for row in rows))
        number = 1 if "cursor" in path else 0
        page = {"tasks": [{"task_id": f"t{number}"}], "next_cursor": None if number else "c1"}
        return server.reply(page) if "/tasks" in path else server.error(400, "invalid_query")

    server.script = script
    return paths


def test_tasks_come_page_by_page_and_after_a_retry(server: Any, paths: list[str]) -> None:
    client = Query("ph_key", "p1", server.url)

    assert client.tasks(event="refund", period="all") == [{"task_id": "t0"}, {"task_id": "t1"}]
    assert len(paths) == 3
    assert re.search(r"event=refund.*limit=500.*cursor=c1", paths[2])
    assert client.tasks(limit=1) == [{"task_id": "t0"}]
    assert len(paths) == 4, "no page more than needed"


def test_events_go_on_after_the_last_of_a_page(server: Any, paths: list[str]) -> None:
    events = Query("ph_key", "p1", server.url).events("it's")

    assert [event["id"] for event in events] == ["e0", "e1", "e2"]
    assert "at_ms" not in events[0]
    assert r"name = 'it\'s'" in paths[1]
    assert r"> (1, 't\'', 'e1')" in paths[2]


def test_refusal_is_raised_at_once_and_outage_after_five_attempts(
    server: Any, paths: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Query("ph_key", "p1", server.url)
    with pytest.raises(phospho.APIError):
        client.sql("SELECT nonsense")
    assert len(paths) == 2

    server.script = lambda request: paths.append("away") or server.error(503, "unavailable")
    with pytest.raises(phospho.APIError):
        client.sql("SELECT 1")
    assert paths.count("away") == 5


def test_rows_become_data_frames() -> None:
    assert ROWS.to_pandas()["task_id"].tolist() == ["t1", "t2"]
    assert ROWS.to_polars()["tags"].to_list() == [["a"], []]
    assert ROWS.to_arrow().num_rows == 2
    assert len(Rows().to_polars()) == len(Rows().to_pandas()) == Rows().to_arrow().num_rows == 0
