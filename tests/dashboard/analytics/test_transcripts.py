"""The page of a session: bounded, with the events of the whole session, and texts in their own direction."""

from __future__ import annotations

import re
from typing import Any

import orjson
import pytest
from starlette.testclient import TestClient

from phospho_dashboard.analytics import sessions
from phospho_dashboard.analytics.texts import SHORT_TEXTS

MANY = 'x "&<' * 400_000


@pytest.fixture
def pages(world: Any) -> TestClient:
    client: TestClient = world.open_pages()
    return client


def add_session(world: Any, project: str, tasks: int, **fields: object) -> None:
    for number in range(tasks):
        at = f"2026-01-01T10:{number // 60:02}:{number % 60:02}.000Z"
        world.add_task(project, f"t{number}", session_id="s", created_at=at, **fields)


def test_page_of_long_texts_is_bounded_and_links_to_them(world: Any, pages: TestClient, project: str) -> None:
    add_session(world, project, 3, input=MANY, output=MANY, raw_input=MANY)

    page = pages.get("/sessions/s", params={"project": project})
    twin = pages.get("/sessions/s.json", params={"project": project}).json()

    assert len(page.content) < 300_000
    assert page.text.count("Show all</a>") == 6
    assert [len(task["input"]) for task in twin["session"]["task_list"]] == [len(MANY)] * 3


def test_page_ends_after_so_many_bytes(world: Any, pages: TestClient, project: str) -> None:
    add_session(world, project, 60, input="y" * 4_000, output="z" * 4_000)
    query: dict[str, str] = {"project": project}

    seen = []
    while True:
        page = pages.get("/sessions/s", params=query).text
        seen.append(page.count("data-task="))
        if "Later tasks" not in page:
            break
        query["cursor"] = page.partition("cursor=")[2].partition("&")[0].partition('"')[0]

    assert sum(seen) == 60
    assert max(seen) * 8_000 <= SHORT_TEXTS.max_page_bytes


def test_task_page_cuts_a_huge_text_and_links_to_the_json(world: Any, pages: TestClient, project: str) -> None:
    world.add_task(project, "huge", input=MANY, raw_output=MANY, system_prompt=MANY)

    page = pages.get("/tasks/huge", params={"project": project})

    assert len(page.content) < 3_000_000
    assert page.text.count("Open the JSON</a>") == 2
    assert pages.get("/tasks/huge.json", params={"project": project}).json()["task"]["raw_output"] == MANY


def test_whole_session_events_are_on_the_first_page(
    world: Any, pages: TestClient, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "TRANSCRIPT_TASKS", 2)
    add_session(world, project, 3)
    sql = "SELECT groupBitXor(sipHash64(task_id, revision)) AS state FROM task_rows FINAL"
    [present] = world.store.rows(sql + " WHERE project_id = {project:String}", {"project": project})
    event = {"id": "e", "name": "gave_up", "definition_version": 1, "engine": "keyword", "scope": "session"}
    row = {"project_id": project, "session_id": "s", "turn": "", "revision": 1, "task_id": "t2", **present}
    found = [event | {"score": 1.0, "evidence": "forget it"}]
    world.add("session_analysis_rows", row | {"created_at": "2026-01-01T10:00:02.000Z", "events": found})

    first = pages.get("/sessions/s", params={"project": project}).text
    twin = pages.get("/sessions/s.json", params={"project": project}).json()
    world.add_label(project, "t2", "gave_up", "rejected")

    assert "Found in the whole session" in first
    assert f'href="/tasks/t2?project={project}"' in first
    assert [(one["name"], one["task_id"]) for one in twin["session"]["events"]] == [("gave_up", "t2")]
    assert "Found in the whole session" not in pages.get("/sessions/s", params={"project": project}).text


def test_what_people_wrote_has_its_own_direction(world: Any, pages: TestClient, project: str) -> None:
    world.add_task(project, "rtl", session_id="s", input="\u05d0\u05e0\u05d9", output="\u05d4\u05d7\u05d6\u05e8")

    assert pages.get("/sessions/s", params={"project": project}).text.count('class="said" dir="auto"') == 2
    assert 'class="clamped" dir="auto"' in pages.get("/tasks", params={"project": project}).text
    assert '<h2 dir="auto">' in pages.get("/sessions", params={"project": project}).text


def test_page_counts_the_tasks_that_its_period_hides(world: Any, pages: TestClient, project: str) -> None:
    add_session(world, project, 3)
    query = {"project": project, "from": "2026-02-01", "to": "2026-02-02"}

    page = pages.get("/tasks", params=query).text

    assert "3 older tasks." in page
    assert f'<a href="/tasks?project={project}&amp;period=all">Show all time</a>' in page
    assert "older task" not in pages.get("/tasks", params=query | {"user": "ada"}).text
    assert "1 newer task." in pages.get("/tasks", params=query | {"to": "2026-01-01T10:00:02Z", "from": ""}).text


def test_session_shows_the_steps_of_each_task_folded(world: Any, pages: TestClient, project: str) -> None:
    own = [
        {"span_id": "a", "name": "plan", "kind": "agent"},
        {"span_id": "b", "parent_span_id": "a", "name": "look up"},
    ]
    loose = {"span_id": "c", "parent_span_id": "a", "name": "charge", "error": "card declined"}
    world.add_task(project, "t-1", metadata={"trace_id": "tr", "steps": own})
    world.add_task(project, "t-2")
    row = {"project_id": project, "trace_id": "tr", "span_id": "c", "revision": 1, "step": orjson.dumps(loose).decode()}
    world.add("step_rows", row | {"created_at": "2026-01-01T10:00:00.000Z", "received_at": "2026-01-01T10:00:00.000Z"})

    page = pages.get("/sessions/s-1", params={"project": project}).text

    tree = page.partition('<details class="agent-steps">')[2].partition("</ol>")[0]
    names = re.findall(r'depth-(\d)">\s*<details>\s*<summary><strong dir="auto">([^<]+)', tree)
    assert sorted(names) == [("0", "plan"), ("1", "charge"), ("1", "look up")]
    assert "3 steps" in tree
    assert "card declined" in tree
    assert page.count('class="agent-steps"') == 1
