"""Light responses: compressed, and nothing where the browser has the answer."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from phospho_dashboard.analytics.overview import Overview


@pytest.fixture
def pages(world: Any) -> TestClient:
    with world.together():
        for number in range(9):
            world.add_task("mine", f"transferred-{number}", input="hello " * 500)
    client: TestClient = world.open_pages()
    return client


@pytest.mark.parametrize("path", ["/tasks?project=mine", "/tasks.json?project=mine", "/static/phospho.css"])
def test_answers_are_compressed_for_who_accepts_it(pages: TestClient, path: str) -> None:
    plain = pages.get(path, headers={"Accept-Encoding": "identity"})
    compressed = pages.get(path, headers={"Accept-Encoding": "gzip"})

    assert "Content-Encoding" not in plain.headers
    assert compressed.headers["Content-Encoding"] == "gzip"
    assert int(compressed.headers.get("Content-Length", 0)) < len(plain.content) / 2
    assert compressed.content == plain.content


def test_unchanged_page_is_a_304_until_something_comes(world: Any, pages: TestClient) -> None:
    path = "/tasks?project=mine&period=all"
    tag = pages.get(path).headers["ETag"]

    unchanged = pages.get(path, headers={"If-None-Match": tag})
    world.add_task("mine", "another")
    changed = pages.get(path, headers={"If-None-Match": tag})

    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert unchanged.headers["ETag"].partition(".")[2] == tag.partition(".")[2]
    assert changed.status_code == 200
    assert changed.headers["ETag"] != tag


def test_idle_page_is_a_304_without_reading_its_numbers(
    world: Any, pages: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[int] = []
    read = Overview.read
    monkeypatch.setattr(Overview, "read", lambda *arguments: reads.append(1) or read(*arguments))
    outcomes, tag = [], ""

    # Between two of them a minute may end, or a merge of the store.
    for _ in range(4):
        before = len(reads)
        answer = pages.get("/?project=mine&period=all", headers={"If-None-Match": tag})
        tag = answer.headers["ETag"]
        outcomes.append((answer.status_code, len(reads) - before))

    assert outcomes[0] == (200, 1)
    assert (304, 0) in outcomes
    world.add_task("mine", "after")
    assert pages.get("/?project=mine&period=all", headers={"If-None-Match": tag}).status_code == 200


def test_export_is_streamed_as_it_is(pages: TestClient) -> None:
    export = pages.get("/tasks.csv?project=mine", headers={"Accept-Encoding": "gzip"})

    assert export.text.startswith("task_id,")
    assert "Content-Encoding" not in export.headers
    assert "ETag" not in export.headers
