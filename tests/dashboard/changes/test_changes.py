"""Changes are the differences that hold, each with the tasks that show it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient

from fixtures.html_pages import check_page
from phospho_dashboard.settings import Price, Prices

SESSIONS = 120
PRICES = Prices("EUR", {"large": Price(1000.0, 1000.0)})


def _log(world: Any, project: str, period: str, days_ago: float, *, is_worse: bool) -> None:
    """Log SESSIONS sessions of one task within a day; where it is worse, half have a refund, are slow and fail."""
    for number in range(SESSIONS):
        at = datetime.now(UTC) - timedelta(days=days_ago, minutes=number)
        time = f"{at:%Y-%m-%dT%H:%M:%S}.000Z"
        is_hit = is_worse and number % 2 == 0
        shared = {"session_id": f"{period}-{number}", "created_at": time, "version_id": f"v-{period}"}
        world.add_task(
            project,
            f"{period}-{number}",
            **shared,
            flag="failure" if is_hit else "success",
            model="large",
            tokens_in=10 + number % 3 + 90 * is_hit,
            latency_ms=(5000.0 if is_hit else 500.0) + number,
        )
        score = (-0.6 if is_hit else 0.4) + number % 5 / 50
        names = ["refund"] * is_hit + ["greeting"] * (number % 3 == 0)
        world.add_analysis(project, f"{period}-{number}", *names, **shared, sentiment_score=score)


@pytest.fixture(scope="module")
def worse(world: Any) -> str:
    """Return a project whose last seven days are worse than the seven before."""
    world.registry.save_project("worse")
    with world.together():
        _log(world, "worse", "before", 9, is_worse=False)
        _log(world, "worse", "now", 2, is_worse=True)
    return "worse"


@pytest.fixture
def priced(world: Any) -> TestClient:
    client: TestClient = world.open_pages(prices=PRICES)
    return client


def test_changes_name_each_difference_and_its_tasks(priced: TestClient, worse: str) -> None:
    query = {"project": worse, "period": "7d"}
    twin = priced.get("/changes.json", params=query).json()
    changes = {change["kind"]: change for change in twin["changes"]}

    assert twin["changes"][0]["kind"] == "success"
    assert [change["importance"] for change in twin["changes"]] == sorted(
        (change["importance"] for change in twin["changes"]), reverse=True
    )
    assert changes.keys() == {"success", "event", "latency", "cost", "sentiment", "version"}
    assert changes["event"]["sentence"] == "“refund” is new: 50.0 % of sessions, 0.0 % before"
    assert changes["event"]["evidence"] == "60 of 120 sessions; before, 0 of 120"
    assert changes["success"]["sentence"] == "Success rate fell: 50.0 %, 100.0 % before"
    assert (changes["success"]["is_good"], changes["latency"]["is_good"]) == (False, False)
    assert changes["cost"]["sentence"].startswith("Cost per session rose from 0.0110 EUR")
    assert all(change["at_least"] > 0 for change in twin["changes"])
    for kind, number in (("event", 60), ("success", 60), ("version", SESSIONS)):
        tasks = priced.get("/tasks.json", params=query | changes[kind]["query"] | {"limit": "200"}).json()["tasks"]
        assert len(tasks) == number


def test_dashboard_begins_with_what_changed(priced: TestClient, worse: str) -> None:
    page = priced.get("/", params={"project": worse, "period": "7d"})
    check_page(page)
    assert page.text.index("What changed") < page.text.index('class="tiles"')
    assert "“refund” is new" in page.text
    shown = priced.get("/changes", params={"project": worse, "period": "7d"})
    check_page(shown)
    assert "95 % confidence for all differences together" in shown.text


def test_changes_say_why_there_are_none(world: Any, priced: TestClient, worse: str) -> None:
    def changed(**query: str) -> str:
        page = priced.get("/changes", params=query)
        check_page(page)
        return page.text

    assert "All time has no period before it" in changed(project=worse, period="all")
    assert "Nothing was logged in the period before" in changed(project=worse, period="30d")
    world.registry.save_project("same")
    with world.together():
        _log(world, "same", "v", 9, is_worse=False)
        _log(world, "same", "w", 2, is_worse=False)
    twin = priced.get("/changes.json", params={"project": "same", "period": "7d", "version": "v-w"}).json()
    assert (twin["changes"], twin["compared"]["sessions"]) == ([], 0)
    assert [change["kind"] for change in priced.get("/changes.json?project=same&period=7d").json()["changes"]] == [
        "version"
    ]
    world.registry.save_project("nobody")
    assert "data-waiting" in changed(project="nobody")


def test_equal_periods_show_no_change_in_hundreds_of_measures(world: Any, priced: TestClient) -> None:
    world.registry.save_project("chance")
    with world.together():
        for number in range(400):
            at = datetime.now(UTC) - timedelta(days=9 if number % 2 else 2, minutes=number)
            time = f"{at:%Y-%m-%dT%H:%M:%S}.000Z"
            shared = {"session_id": f"s{number}", "created_at": time}
            world.add_task("chance", f"t{number}", **shared)
            # A hash, of which each bit is an event.
            bits = (number * number * 2654435761 + number * 40503) % 2**32 >> 7
            world.add_analysis("chance", f"t{number}", *[f"e{bit}" for bit in range(25) if bits >> bit & 1], **shared)
    twin = priced.get("/changes.json?project=chance&period=7d").json()
    assert twin["compared"] | {"from": "", "to": ""} == {"from": "", "to": "", "sessions": 200, "sessions_now": 200}
    assert twin["changes"] == []
