"""`POST /v3/log`: messages become turns, and a conversation that is sent again as it grows is told once."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from gateway.legacy.conftest import NOON_S, Json
from phospho_gateway.intake.events import AcceptedEvent
from phospho_gateway.legacy import messages_api
from phospho_gateway.legacy.messages_api import Logged

SYSTEM = {"role": "system", "content": "You are a travel agent."}
HELLO = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi there"}]
FLIGHT = [{"role": "user", "content": "A flight to Lisbon"}, {"role": "assistant", "content": "When?"}]
YES = [{"role": "user", "content": "Yes"}, {"role": "assistant", "content": "Done"}]


async def _log(client: httpx.AsyncClient, *conversations: Any, key: str = "") -> list[Json]:
    body = {"project_id": "shop", "batched_log_events": list(conversations)}
    answer = await client.post("/v3/log", json=body, headers={"Idempotency-Key": key} if key else {})
    assert answer.status_code == 200, answer.text
    logged: list[Json] = answer.json()["logged_events"]
    return logged


async def _turns(client: httpx.AsyncClient, session_id: str) -> list[tuple[str, str | None]]:
    tasks = (await client.get(f"/v2/sessions/{session_id}/tasks")).json()["tasks"]
    return [(task["input"], task["output"]) for task in tasks]


def _told(*turns: list[Json], **fields: Any) -> Json:
    return {"messages": [message for turn in turns for message in turn], "created_at": NOON_S} | fields


async def test_each_turn_is_a_task_with_what_the_conversation_says(shop: httpx.AsyncClient) -> None:
    told = _told([SYSTEM], HELLO, FLIGHT, session_id="turns", user_id="u", metadata={"channel": "web"}, test_id="t")

    logged = await _log(shop, told)

    tasks = (await shop.get("/v2/sessions/turns/tasks")).json()["tasks"]
    assert logged == [{"project_id": "shop", "session_id": "turns", "task_ids": [task["id"] for task in tasks]}]
    assert await _turns(shop, "turns") == [("Hello", "Hi there"), ("A flight to Lisbon", "When?")]
    extra = {"channel": "web", "user_id": "u", "test_id": "t", "system_prompt": SYSTEM["content"]}
    assert [task["metadata"] for task in tasks] == [extra, extra]
    assert tasks[0]["created_at"] == NOON_S
    assert [event["event_name"] for event in tasks[1]["events"]] == ["flight"]


@pytest.mark.parametrize("content", [{}, {"content": None}, {"content": ""}])
async def test_answer_that_only_calls_tools_is_its_calls(shop: httpx.AsyncClient, content: dict[str, Any]) -> None:
    function = {"name": "find", "arguments": "{}"}
    calls = {"role": "assistant", "tool_calls": [{"id": "c", "type": "function", "function": function}]} | content
    session_id = f"calls-{len(content)}-{content.get('content')}"

    await _log(shop, _told([FLIGHT[0], calls], session_id=session_id))

    assert await _turns(shop, session_id) == [("A flight to Lisbon", "find({})")]


async def test_a_conversation_that_grows_is_told_once(shop: httpx.AsyncClient) -> None:
    unanswered = [YES[0]]
    for told in (_told(HELLO), _told(HELLO, unanswered), _told(HELLO, YES), _told(HELLO, YES, YES)):
        await _log(shop, told | {"session_id": "grows"})

    assert await _turns(shop, "grows") == [("Hello", "Hi there"), ("Yes", "Done"), ("Yes", "Done")]


async def test_of_a_window_whose_messages_have_ids_the_new_turns_are_added(shop: httpx.AsyncClient) -> None:
    hello, flight, yes, again = (
        [turn[0] | {"id": f"m-{number}"}, turn[1]] for number, turn in enumerate((HELLO, FLIGHT, YES, YES))
    )
    for minute, turns in enumerate([(hello, flight), (flight, yes), (yes, again), (again,)]):
        await _log(shop, _told(*turns, session_id="window", created_at=NOON_S + 60 * minute))

    told = await _turns(shop, "window")
    assert told == [("Hello", "Hi there"), ("A flight to Lisbon", "When?"), ("Yes", "Done"), ("Yes", "Done")]


async def test_same_short_answer_to_another_question_in_a_window_is_another_task(
    shop: httpx.AsyncClient,
) -> None:
    booked = [YES[0], {"role": "assistant", "content": "Booked"}]
    await _log(shop, _told(HELLO, YES, session_id="short"))
    await _log(shop, _told(FLIGHT, booked, session_id="short", created_at=NOON_S + 60))
    await _log(shop, _told(booked, session_id="short", created_at=NOON_S + 120))

    told = await _turns(shop, "short")
    assert told[1] == ("Yes", "Done")
    assert ("Yes", "Booked") in told


async def test_same_short_answer_to_another_answer_is_another_task(shop: httpx.AsyncClient) -> None:
    sure = [YES[0], {"role": "assistant", "content": "Sure?"}]
    grown = [(sure,), (sure, YES), (sure, YES, YES)]
    for turns in grown:
        await _log(shop, _told(*turns, session_id="sure"))
    await _log(shop, _told(HELLO, YES, session_id="sure", created_at=NOON_S + 60))

    assert sorted(await _turns(shop, "sure")) == [("Hello", "Hi there")] + [("Yes", "Done")] * 3 + [("Yes", "Sure?")]


async def test_appended_messages_are_new_each_time_but_for_a_retry(shop: httpx.AsyncClient) -> None:
    told = _told(HELLO, FLIGHT, session_id="appended", merge_mode="append")
    for key in ("first", "first", "second"):
        await _log(shop, told, told, key=key)

    assert sorted(await _turns(shop, "appended")) == sorted(
        [("Hello", "Hi there"), ("A flight to Lisbon", "When?")] * 4
    )


async def test_replaced_messages_take_the_place_of_those_before(shop: httpx.AsyncClient) -> None:
    for told in (_told(HELLO, FLIGHT), _told(FLIGHT)):
        await _log(shop, told | {"session_id": "replaced", "merge_mode": "replace"})

    assert await _turns(shop, "replaced") == [("A flight to Lisbon", "When?"), ("A flight to Lisbon", "When?")]


async def test_calls_of_tools_belong_to_the_turn_that_made_them(shop: httpx.AsyncClient) -> None:
    calls = [
        {"role": "user", "content": [{"type": "text", "text": "Is it sunny?"}]},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "function": {"name": "weather"}}]},
        {"role": "tool", "tool_call_id": "1", "content": "sun"},
        {"role": "assistant", "content": "It is."},
    ]

    await _log(shop, _told(calls, YES, session_id="tools"))

    task = (await shop.get("/v2/sessions/tools/tasks")).json()["tasks"][0]
    assert (task["input"], task["output"]) == ("Is it sunny?", "It is.")
    assert task["additional_input"]["raw_input"][1:] == calls[1:3]


async def test_one_bad_conversation_harms_itself_only(shop: httpx.AsyncClient) -> None:
    bad: list[Any] = [
        {"messages": []},
        {"messages": [{"content": "no role"}]},
        {"messages": [SYSTEM]},
        {"messages": [{"role": "user", "content": 7}]},
        _told(HELLO, merge_mode="mix"),
        _told(HELLO, session_id="s" * 513),
        _told(HELLO, session_id="s\0"),
        _told(HELLO, created_at="noon"),
        _told(HELLO, task_id="t"),
        _told(HELLO, flag="maybe"),
        _told(HELLO, metadata=[1]),
    ]

    logged = await _log(shop, *bad, _told(HELLO, session_id="good"))

    assert [list(each) for each in logged[:-1]] == [["error_in_log"]] * len(bad)
    assert await _turns(shop, "good") == [("Hello", "Hi there")]
    assert logged[-1]["session_id"] == "good"


async def test_unnamed_session_gets_an_id_that_a_retry_finds_again(shop: httpx.AsyncClient) -> None:
    told = _told(HELLO, FLIGHT)
    named = [(await _log(shop, told, key=key))[0] for key in ("", "retried", "retried")]

    assert named[0]["session_id"] != named[1]["session_id"] == named[2]["session_id"]
    assert named[1]["task_ids"] == named[2]["task_ids"]
    assert len(await _turns(shop, named[0]["session_id"])) == 2


async def test_a_conversation_of_another_project_is_refused(shop: httpx.AsyncClient) -> None:
    body = {"project_id": "rival", "batched_log_events": [_told(HELLO)]}
    within = {"batched_log_events": [_told(HELLO, project_id="rival")]}

    assert (await shop.post("/v3/log", json=body)).status_code == 403
    assert list((await shop.post("/v3/log", json=within)).json()["logged_events"][0]) == ["error_in_log"]


async def test_the_turns_of_each_conversation_are_counted_once(
    shop: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []

    class Watched(Logged):
        @property
        def events(self) -> list[AcceptedEvent]:  # type: ignore[override]
            looks.append(self.session_id)
            return self[1]

    monkeypatch.setattr(messages_api, "Logged", Watched)
    named = [f"counted-{number}" for number in range(50)]

    await _log(shop, *(_told(HELLO, session_id=name) for name in named))

    # Once to count them, once to publish them, and twice in the answer.
    assert max(looks.count(name) for name in named) <= 4


@pytest.mark.parametrize("size", [10_001, 20_000])
async def test_more_messages_than_a_batch_holds_are_refused(shop: httpx.AsyncClient, size: int) -> None:
    message = {"role": "user", "content": ""}
    body = {"batched_log_events": [{"messages": [message] * (size // 2)}, {"messages": [message] * (size - size // 2)}]}

    assert (await shop.post("/v3/log", json=body)).status_code == 413
