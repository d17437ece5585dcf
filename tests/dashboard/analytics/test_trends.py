"""The charts of versions and of users add up to the tables below them."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from starlette.testclient import TestClient

from fixtures.html_pages import ATTACK, check_page

_NUMBERS = itertools.count()


@pytest.fixture
def project(world: Any) -> str:
    """Return a project in which ada has nine tasks, bob three and carol one, over three days and two versions."""
    project_id = f"trends-{next(_NUMBERS)}"
    world.registry.save_project(project_id)
    users = ["ada"] * 9 + ["bob"] * 3 + ["carol"]
    for number, user in enumerate(users):
        day, version = 1 + number % 3, "v2" if number % 3 else "v1"
        fields = {"user_id": user, "version_id": version, "created_at": f"2026-01-0{day}T10:00:00.000Z"}
        world.add_task(project_id, f"t{number}", session_id=f"s{number}", **fields)
    world.add_task(project_id, "nobody's", version_id="v1")
    return project_id


@pytest.fixture
def pages(world: Any) -> TestClient:
    client: TestClient = world.open_pages()
    return client


def test_users_come_and_go_over_time(pages: TestClient, project: str) -> None:
    twin = pages.get("/users.json", params={"project": project, "limit": "2"}).json()

    busy = [(row["start_at"][:10], row["users"], row["tasks"]) for row in twin["over_time"] if row["tasks"]]

    assert sum(row[2] for row in busy) == 13
    assert max(row[1] for row in busy) == 3
    assert {row["users"] for row in twin["over_time"] if not row["tasks"]} <= {0}


def test_users_are_counted_by_how_much_they_do(pages: TestClient, project: str) -> None:
    twin = pages.get("/users.json", params={"project": project}).json()

    assert twin["tasks_per_user"] == [
        {"from": 1, "to": 1, "users": 1}, {"from": 2, "to": 3, "users": 1}, {"from": 4, "to": 7, "users": 0},
        {"from": 8, "to": 15, "users": 1},
    ]  # fmt: skip


def test_the_second_page_of_users_does_not_count_anew(pages: TestClient, project: str) -> None:
    first = pages.get("/users.json", params={"project": project, "limit": "1"}).json()
    query = {"project": project, "cursor": first["next_cursor"]}

    assert "over_time" not in pages.get("/users.json", params=query).json()
    assert 'id="active"' not in pages.get("/users", params=query).text


def test_versions_over_time_add_up_to_their_tasks(pages: TestClient, project: str) -> None:
    twin = pages.get("/versions.json", params={"project": project}).json()

    totals = [sum(row["tasks"][place] for row in twin["over_time"]) for place in range(2)]
    assert totals == [row["tasks"] for row in twin["versions"]]
    only_v1 = pages.get("/versions.json", params={"project": project, "version": "v1"}).json()
    assert only_v1["over_time"] == []


def test_buckets_are_days_of_the_zone_across_a_change_of_clocks(world: Any, pages: TestClient) -> None:
    world.registry.save_project("trends-of-march")
    # Midnight of Paris is 23:00 UTC up to 28 March 2026, and 22:00 UTC from the 29th on.
    times = ("27T22:59", "27T23:00", "28T22:59", "28T23:00", "29T21:59", "29T22:00", "30T21:59", "30T22:00")
    for at in ("02T10:00", *times):
        world.add_task("trends-of-march", at, user_id="ada", created_at=f"2026-03-{at}:00.000Z")
    pages.cookies.set("time_zone", "Europe/Paris")

    query = {"project": "trends-of-march", "from": "2026-03-01", "to": "2026-04-08"}
    rows = pages.get("/users.json", params=query).json()["over_time"]

    busy = [(row["start_at"], row["tasks"]) for row in rows if row["tasks"]]
    assert busy == [
        ("2026-03-01T23:00:00.000Z", 1),
        ("2026-03-26T23:00:00.000Z", 1), ("2026-03-27T23:00:00.000Z", 2), ("2026-03-28T23:00:00.000Z", 2),
        ("2026-03-29T22:00:00.000Z", 2), ("2026-03-30T22:00:00.000Z", 1),
    ]  # fmt: skip


def test_an_empty_project_has_no_chart(world: Any, pages: TestClient) -> None:
    world.registry.save_project("trends-of-nothing")
    for path in ("/users", "/versions"):
        page = pages.get(path, params={"project": "trends-of-nothing"})
        assert page.status_code == 200
        assert "data-chart" not in page.text


def test_no_name_of_a_version_or_user_can_run(world: Any, pages: TestClient, project: str) -> None:
    world.add_task(project, ATTACK, version_id=ATTACK, user_id=ATTACK)
    for path in ("/users", "/versions"):
        check_page(pages.get(path, params={"project": project}))
