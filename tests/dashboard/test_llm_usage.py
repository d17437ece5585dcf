"""What second opinions cost is told to the project that pays for them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fixtures.html_pages import ATTACK, check_page
from phospho_schemas.messages import LlmCallRow, ProjectSettings
from phospho_store.verdicts import VerdictBook


def call(project_id: str, call_id: str, days_ago: int = 0, **fields: Any) -> LlmCallRow:
    known = {"outcome": "answered", "model": "m", "definitions": 2, "tokens_in": 100, "tokens_out": 10, "usd": 0.25}
    moment = datetime.now(UTC) - timedelta(days=days_ago)
    return LlmCallRow.model_validate(
        {"project_id": project_id, "call_id": call_id, "created_at": moment} | known | fields
    )


def test_usage_is_told_by_day_and_model_beside_the_budget(world: Any) -> None:
    book = VerdictBook(world.store)
    world.registry.save_project("mine", settings=ProjectSettings(llm_daily_tokens=5_000, llm_daily_usd=2.0))
    reserved = call("mine", "c1", outcome="reserved", tokens_in=900)
    book.save_calls([reserved, call("mine", "c2", 1), call("mine", "c3", 9), call("theirs", "c4")])
    book.save_calls([call("mine", "c1")])

    answer = world.client(world.keys["mine"]).get("/api/v1/llm-usage?days=2").json()

    assert answer["budget"] == {"llm_daily_tokens": 5_000, "llm_daily_usd": 2.0}
    assert answer["used_today"] == {"tokens": 110, "usd": 0.25}
    day = {"model": "m", "calls": 1, "answered": 1, "definitions": 2, "tokens_in": 100, "tokens_out": 10, "usd": 0.25}
    today = datetime.now(UTC).date()
    assert answer["days"] == [{"day": str(today - timedelta(days=ago)), **day} for ago in (0, 1)]


@pytest.mark.parametrize("days", ["0", "367", "-1", "x", "1e2", "９", "9" * 5_000])
def test_days_that_can_not_be_are_refused(world: Any, days: str) -> None:
    answer = world.client(world.keys["mine"]).get("/api/v1/llm-usage", params={"days": days})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_field")


def test_the_page_shows_what_is_spent_of_the_budget_and_each_day(world: Any) -> None:
    project_id = "spends"
    world.registry.save_project(project_id, settings=ProjectSettings(llm_daily_tokens=5_000, llm_daily_usd=0.25))
    pages = world.open_pages()
    query = {"project": project_id}
    assert "Nobody was asked" in pages.get("/settings/second-opinions", params=query).text

    calls = [call(project_id, "c1", model=ATTACK), call(project_id, "c2", 3), call(project_id, "c3", 3, model="n")]
    VerdictBook(world.store).save_calls(calls)

    page = pages.get("/settings/second-opinions", params=query)
    check_page(page)
    assert '<progress max="5000" value="110"' in page.text
    assert "nobody is asked until midnight" in page.text
    day = str(datetime.now(UTC).date() - timedelta(days=3))
    assert f'<th scope="row">{day}</th><td class="number" data-value="220">220</td>' in page.text
    twin = pages.get("/settings/second-opinions.json", params=query).json()
    assert twin["used_today"] == {"tokens": 110, "usd": 0.25}
    assert len(twin["days"]) == 3
