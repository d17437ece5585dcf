"""The freshness of the data: measured where tasks arrive, of those that wait too, and not of what a backfill did."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import pytest
from starlette.testclient import TestClient

HOUR_S = 3600.0


def at(seconds_ago: float) -> str:
    return datetime.fromtimestamp(time.time() - seconds_ago, UTC).isoformat(timespec="milliseconds")


@pytest.fixture
def pages(world: Any) -> TestClient:
    client: TestClient = world.open_pages()
    return client


def freshness(pages: TestClient, project: str, **query: str) -> dict[str, Any]:
    page = pages.get("/dashboard.json", params={"project": project, **query}).json()
    found: dict[str, Any] = page["freshness"]
    return found


def test_it_says_how_far_data_is_behind_and_what_waits(world: Any, pages: TestClient, project: str) -> None:
    for task_id in ("done", "waiting"):
        world.add_task(project, task_id, created_at=at(60), received_at=at(2))
    world.add_analysis(project, "done", created_at=at(60), inserted_at=at(1.2))

    found = freshness(pages, project)
    text = pages.get("/", params={"project": project}).text

    assert (found["recent_tasks"], found["backlog_tasks"]) == (2, 1)
    assert 500 <= found["behind_ms"] <= 60_000
    assert "Up to date" in text
    assert "1 task queued" in text


def test_where_nothing_came_since_it_says_when_the_last_task_came(world: Any, pages: TestClient, project: str) -> None:
    came = at(12 * 60)
    world.add_task(project, "t", created_at=came, received_at=at(12 * 60 + 1), inserted_at=came)
    world.add_analysis(project, "t", created_at=came, inserted_at=came)

    found = freshness(pages, project)

    assert (found["behind_ms"], found["backlog_tasks"]) == (1000, 0)
    assert found["last_task_at"] == came.replace("+00:00", "Z")
    assert f'<time datetime="{found["last_task_at"]}"' in pages.get("/?project=" + project).text


def test_a_task_counts_by_its_arrival_whatever_its_client_says(world: Any, pages: TestClient, project: str) -> None:
    world.add_task(project, "late", created_at=at(2 * HOUR_S), received_at=at(30))

    found = freshness(pages, project)

    assert (found["recent_tasks"], found["backlog_tasks"]) == (1, 1)
    assert 30_000 <= found["behind_ms"] <= 90_000


def test_tasks_that_wait_are_not_left_out_of_the_delay(world: Any, pages: TestClient, project: str) -> None:
    """Of ten tasks nine have waited for ten minutes: the one that got through tells little."""
    for number in range(10):
        world.add_task(project, f"t{number}", created_at=at(601), received_at=at(601), inserted_at=at(600))
    world.add_analysis(project, "t0", created_at=at(601), inserted_at=at(600))

    assert freshness(pages, project)["behind_ms"] >= 600_000


@pytest.mark.parametrize("table", ["backfill_rows", "theme_model_rows", "theme_rows"])
def test_what_is_analysed_again_is_not_behind(table: str, world: Any, pages: TestClient, project: str) -> None:
    for task_id in ("a", "b"):
        world.add_task(project, task_id, created_at=at(700), received_at=at(700), inserted_at=at(699))
    world.add_task(project, "fresh", created_at=at(5), received_at=at(5), inserted_at=at(4))
    world.add_analysis(project, "fresh", created_at=at(5), inserted_at=at(4))
    columns = {
        "backfill_rows": {"backfill_id": "b", "name": "e", "status": "done", "updated_at": at(1)},
        "theme_model_rows": {"version": 1},
        "theme_rows": {"theme_id": "t"},
    }
    world.add(table, {"project_id": project, "revision": 1, "created_at": at(60), **columns[table]})
    for task_id in ("a", "b"):
        world.add_analysis(project, task_id, created_at=at(700), inserted_at=at(10), definitions_revision=9)

    found = freshness(pages, project)

    assert (found["recent_tasks"], found["backlog_tasks"]) == (3, 0)
    assert 500 <= found["behind_ms"] <= 2000


def test_a_task_that_is_logged_again_waits_for_its_new_analysis(world: Any, pages: TestClient, project: str) -> None:
    world.add_task(project, "a", created_at=at(60), received_at=at(10), revision=2)
    world.add_analysis(project, "a", created_at=at(60), inserted_at=at(50), revision=1)

    assert freshness(pages, project)["backlog_tasks"] == 1


def test_dead_letters_are_of_the_period_and_for_admins_of_no_project(
    world: Any, pages: TestClient, project: str
) -> None:
    world.add_task(project, "t", created_at=at(60), received_at=at(60))
    before = freshness(pages, project)["dead_letters"]
    world.add_dead_letter(f"own-{project}", project, b"{", received_at=at(60))
    world.add_dead_letter(f"nobody's-{project}", "", b"{", received_at=at(60))
    world.add_dead_letter(f"old-{project}", project, b"{", received_at=at(60 * 24 * HOUR_S))
    with_key = world.client(world.registry.create_key(project).secret)

    text = pages.get("/", params={"project": project, "period": "7d"}).text
    health = pages.get("/settings/health.json", params={"project": project}).json()

    assert freshness(pages, project, period="7d")["dead_letters"] == before + 2
    assert freshness(pages, project, period="all")["dead_letters"] == health["freshness"]["dead_letters"]
    assert freshness(with_key, project, period="7d")["dead_letters"] == 1
    assert f'href="/settings/dead-letters?project={project}"' in text
