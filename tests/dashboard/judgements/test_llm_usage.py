"""The cost of judgements, shown to the project that pays for them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fixtures.html_pages import ATTACK, check_page
from phospho_schemas.messages import EventDefinition, ProjectSettings
from phospho_schemas.rows.jobs import JudgementRow, LlmCallRow
from phospho_store.annotations.judgements import JudgementRepository


def call(project_id: str, call_id: str, days_ago: int = 0, **fields: Any) -> LlmCallRow:
    known = {"outcome": "answered", "model": "m", "definitions": 2, "tokens_in": 100, "tokens_out": 10, "usd": 0.25}
    moment = datetime.now(UTC) - timedelta(days=days_ago)
    return LlmCallRow.model_validate(
        {"project_id": project_id, "call_id": call_id, "created_at": moment} | known | fields
    )


def test_usage_is_told_by_day_and_model_beside_the_budget(world: Any) -> None:
    repository = JudgementRepository(world.store)
    world.registry.save_project("mine", settings=ProjectSettings(llm_daily_tokens=5_000, llm_daily_usd=2.0))
    reserved = call("mine", "c1", outcome="reserved", tokens_in=900)
    repository.save_calls([reserved, call("mine", "c2", 1), call("mine", "c3", 9), call("theirs", "c4")])
    repository.save_calls([call("mine", "c1")])

    answer = world.client(world.keys["mine"]).get("/api/v1/llm-usage?days=2").json()

    assert answer["budget"] == {"llm_daily_tokens": 5_000, "llm_daily_usd": 2.0}
    assert answer["used_today"] == {"tokens": 110, "usd": 0.25}
    day = {"model": "m", "calls": 1, "answered": 1, "definitions": 2, "tokens_in": 100, "tokens_out": 10, "usd": 0.25}
    day |= {"no_answer": 0, "refused": 0, "failed": 0}
    today = datetime.now(UTC).date()
    assert answer["days"] == [{"day": str(today - timedelta(days=ago)), **day} for ago in (0, 1)]


def test_usage_shows_the_reason_of_a_failure_and_the_next_try(world: Any) -> None:
    repository = JudgementRepository(world.store)
    until = datetime.now(UTC) + timedelta(minutes=5)
    failure = {"outcome": "failed", "reason": "HTTP 401", "left_alone_until": until}
    repository.save_calls([call("mine", "f1", **failure), call("mine", "f2", outcome="skipped")])
    client = world.client(world.keys["mine"])

    answer = client.get("/api/v1/llm-usage?days=1").json()

    assert answer["days"][0]["failed"] == 1
    page = world.open_pages().get("/settings/judgements", params={"project": "mine"})
    check_page(page)
    assert "The latest call failed: HTTP 401." in page.text
    assert f"{until:%H:%M:%S} UTC" in page.text
    assert (answer["last_call"]["outcome"], answer["last_call"]["reason"]) == ("failed", "HTTP 401")
    assert answer["last_call"]["left_alone_until"][:19] == f"{until:%Y-%m-%dT%H:%M:%S}"

    repository.save_calls(
        [call("mine", "f3", **failure | {"left_alone_until": datetime.now(UTC) - timedelta(minutes=5)})]
    )
    assert client.get("/api/v1/llm-usage").json()["last_call"]["left_alone_until"] is None


def test_judgements_that_nothing_is_learnt_from_are_named(world: Any) -> None:
    known = {"project_id": "mine", "description": "Money back", "created_at": datetime.now(UTC)}
    for name, engine in (("sure", "semantic"), ("sound", "semantic"), ("asked", "llm")):
        world.registry.save_definition(EventDefinition.model_validate(known | {"name": name, "engine": engine}))
    said = {
        "project_id": "mine",
        "definition_version": 1,
        "judge": "llm",
        "model": "m",
        "created_at": known["created_at"],
    }
    JudgementRepository(world.store).save_judgements(
        [
            JudgementRow.model_validate(
                said | {"name": name, "content": f"c{n}", "task_id": f"t{n}", "answer": "no" if n in no else "yes"}
            )
            for name, no in (("sure", ()), ("sound", (1, 2)), ("asked", ()))
            for n in range(30)
        ]
    )
    page = world.open_pages().get("/settings/judgements", params={"project": "mine"}).text
    assert "<b>sure</b> are not used for training: the model says yes to next to everything: 30 yes, 0 no" in page
    judged = world.client(world.keys["mine"]).get("/api/v1/llm-usage").json()["judged"]
    assert {one["name"]: (one["yes"], one["no"], bool(one["distrust_reason"])) for one in judged} == {
        "sure": (30, 0, True),
        "sound": (28, 2, False),
        "asked": (30, 0, False),
    }


@pytest.mark.parametrize("days", ["0", "367", "-1", "x", "1e2", "９", "9" * 5_000])
def test_days_that_can_not_be_are_refused(world: Any, days: str) -> None:
    answer = world.client(world.keys["mine"]).get("/api/v1/llm-usage", params={"days": days})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_field")


def test_the_page_shows_what_is_spent_of_the_budget_and_each_day(world: Any) -> None:
    project_id = "spends"
    world.registry.save_project(project_id, settings=ProjectSettings(llm_daily_tokens=5_000, llm_daily_usd=0.25))
    pages = world.open_pages()
    query = {"project": project_id}
    assert "No judge calls in the last 30 days" in pages.get("/settings/judgements", params=query).text

    calls = [call(project_id, "c1", model=ATTACK), call(project_id, "c2", 3), call(project_id, "c3", 3, model="n")]
    JudgementRepository(world.store).save_calls(calls)

    page = pages.get("/settings/judgements", params=query)
    check_page(page)
    assert '<progress max="5000" value="110"' in page.text
    assert "No further calls until 00:00 UTC" in page.text
    day = str(datetime.now(UTC).date() - timedelta(days=3))
    assert f'<th scope="row">{day}</th><td class="number" data-value="220">220</td>' in page.text
    twin = pages.get("/settings/judgements.json", params=query).json()
    assert twin["used_today"] == {"tokens": 110, "usd": 0.25}
    assert len(twin["days"]) == 3
