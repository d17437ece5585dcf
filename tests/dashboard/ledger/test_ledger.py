"""The ledger in the API and on its page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.testclient import TestClient

from phospho_schemas.times import utc_text


def add_hour(world: Any, project: str, hours_ago: int, **counts: object) -> str:
    now = datetime.now(UTC)
    hour = utc_text((now - timedelta(hours=hours_ago)).replace(minute=0, second=0, microsecond=0))
    row = {"project_id": project, "hour": hour, "revision": 1, "checked_at": utc_text(now)}
    world.add("ledger_rows", row | counts)
    return hour


def test_ledger_sums_the_hours_and_says_that_they_balance(world: Any, mine: TestClient) -> None:
    add_hour(world, "mine", 1, received=3, rejected={"too_deep": 1}, accepted=2, stored=2)
    add_hour(world, "mine", 2, received=1, accepted=1, dead_lettered=1, dead_letters={"extraction/too_deep": 1})
    add_hour(world, "mine", 50, received=9, accepted=9, stored=9)
    add_hour(world, "theirs", 1, received=9, accepted=9, missing=9)

    answer = mine.get("/api/v1/ledger").json()

    assert (answer["is_balanced"], answer["unbalanced_since"], len(answer["hours"])) == (True, None, 2)
    totals = {name: answer["totals"][name] for name in ("received", "rejected", "accepted", "stored", "dead_lettered")}
    assert totals == {"received": 4, "rejected": 1, "accepted": 3, "stored": 2, "dead_lettered": 1}
    assert answer["dead_letters"] == {"extraction/too_deep": 1}
    since = utc_text(datetime.now(UTC) - timedelta(days=3))
    assert mine.get("/api/v1/ledger", params={"since": since}).json()["totals"]["stored"] == 11
    assert mine.get("/api/v1/ledger", params={"since": "noon"}).status_code == 422


def test_page_names_the_hour_that_does_not_balance(world: Any, pages: TestClient, project: str) -> None:
    hour = add_hour(
        world, project, 1, received=2, accepted=2, stored=1, missing=1, missing_ids=["lost-task"],
        unbalanced_since=utc_text(datetime.now(UTC)),
    )  # fmt: skip

    page = pages.get("/settings/ledger", params={"project": project})
    twin = pages.get("/settings/ledger.json", params={"project": project, "period": "7d"}).json()

    assert "The ledger doesn't balance since" in page.text
    assert "lost-task" in page.text
    assert [row["hour"] for row in twin["hours"] if not row["is_balanced"]] == [hour]


def test_page_of_a_project_without_logs_says_so(pages: TestClient, project: str) -> None:
    assert "No logs in this period" in pages.get("/settings/ledger", params={"project": project}).text
