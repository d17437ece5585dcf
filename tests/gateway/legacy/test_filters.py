"""Upstream's filters: each lets through what it says, and a value is never more than a value."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.examples import examples
from gateway.legacy.conftest import NOON_S, Json
from phospho_gateway.legacy.reads.filters import FILTERS, Condition, condition_of
from phospho_web.problems import Problem

ALL = {"task-flight", "task-lisbon", "task-alone"}
INJECTIONS = [
    "' OR 1=1 --",
    "') OR ('1'='1",
    "\\' OR 1=1 --",
    "{project:String}",
    "x' UNION ALL SELECT key_hash FROM api_key_rows --",
    "%s",
    "`",
    "\t\n\r\b",
    "\\N",
    "\\",
    "🙂'",
]


async def _found(client: httpx.AsyncClient, filters: Json) -> set[str]:
    answer = await client.post("/v2/projects/shop/tasks", json={"filters": filters})
    assert answer.status_code == 200, answer.text
    return {task["id"] for task in answer.json()["tasks"]} & ALL


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ({}, ALL),
        ({"flag": None}, ALL),
        ({"created_at_start": NOON_S + 1}, {"task-lisbon", "task-alone"}),
        ({"created_at_end": NOON_S + 60}, {"task-flight", "task-lisbon"}),
        ({"created_at_start": NOON_S, "created_at_end": NOON_S}, {"task-flight"}),
        ({"created_at_end": "2026-03-03T10:00:30Z"}, {"task-flight"}),
        ({"created_at_end": "2026-03-02"}, set()),
        ({"created_at_start": "2026-03-03", "created_at_end": "2026-03-03"}, ALL),
        ({"event_name": ["flight", "other"]}, {"task-flight"}),
        ({"event_id": ["flight"]}, {"task-flight"}),
        ({"event_name": []}, set()),
        ({"flag": "success"}, {"task-lisbon"}),
        ({"flag": "failure"}, set()),
        ({"flag": "undefined"}, {"task-flight", "task-alone"}),
        ({"metadata": {"channel": "web"}}, {"task-flight"}),
        ({"metadata": {"channel": "app"}}, set()),
        ({"metadata": {"attempt": 2, "is_beta": True, "price": 1.5}}, {"task-flight"}),
        ({"metadata": {"channel": 0}}, set()),
        ({"metadata": {"channel": False}}, set()),
        ({"metadata": {"nothing": ""}}, set()),
        ({"user_id": "user-1"}, {"task-flight", "task-lisbon"}),
        ({"excluded_users": ["user-1"]}, {"task-alone"}),
        ({"version_id": "v2"}, {"task-lisbon"}),
        ({"tasks_ids": ["task-alone", "nobody"]}, {"task-alone"}),
        ({"sessions_ids": ["trip"]}, {"task-flight", "task-lisbon"}),
        ({"sentiment": "negative"}, {"task-alone"}),
        ({"language": "en", "sessions_ids": ["complaint"]}, {"task-alone"}),
        ({"is_last_task": True}, {"task-lisbon", "task-alone"}),
        ({"is_last_task": False}, {"task-flight"}),
        ({"task_position": 2}, {"task-lisbon"}),
        ({"task_id_search": "LISBON"}, {"task-lisbon"}),
        ({"session_id_search": "plain"}, {"task-alone"}),
        ({"has_notes": False}, ALL),
        ({"has_notes": True}, set()),
        ({"last_eval_source": "user"}, set()),
        ({"clustering_id": "any"}, set()),
        ({"clusters_ids": ["theme-1"]}, set()),
    ],
)
async def test_a_filter_lets_through_what_it_says(shop: httpx.AsyncClient, filters: Json, wanted: set[str]) -> None:
    assert await _found(shop, filters) == wanted


async def test_feedback_is_found_by_its_source_and_its_notes(shop: httpx.AsyncClient) -> None:
    event = {"task_id": "judged", "input": "Judge me", "session_id": "court"}
    await shop.post("/v2/log/shop", json={"batched_log_events": [event]})
    await shop.post("/v2/tasks/judged/human-eval", json={"human_eval": "failure", "notes": "no", "source": "user-9"})

    for filters in ({"has_notes": True}, {"last_eval_source": "owner"}, {"flag": "failure"}):
        answer = await shop.post("/v2/projects/shop/tasks", json={"filters": filters})
        assert [task["id"] for task in answer.json()["tasks"]] == ["judged"], filters
    assert await _found(shop, {"last_eval_source": "phospho-4"}) == set()


@pytest.mark.sweep
@pytest.mark.parametrize(("turn", "text"), list(enumerate(INJECTIONS)))
async def test_no_text_becomes_sql(shop: httpx.AsyncClient, turn: int, text: str) -> None:
    """Each text is tried in a quarter of the filters, and in all of them in `make chaos`."""
    texts = ("user_id", "version_id", "sentiment", "language", "task_id_search", "session_id_search")
    lists = ("event_name", "event_id", "tasks_ids", "sessions_ids")
    hopeless = [{name: text} for name in texts] + [{name: [text]} for name in lists] + [{"metadata": {text: text}}]
    turns = max(1, 4 // examples(0.025))
    for filters in hopeless[turn % turns :: turns]:
        assert await _found(shop, filters) == set(), filters
    assert await _found(shop, {"excluded_users": [text]}) == ALL


@pytest.mark.sweep
async def test_filter_by_a_text_finds_that_text(shop: httpx.AsyncClient) -> None:
    """Each text is looked for by one filter, and by every one in `make chaos`."""
    events = [
        {"task_id": f"odd {text}", "input": "x", "user_id": text, "session_id": text, "metadata": {"odd": text}}
        for text in INJECTIONS
    ]
    await shop.post("/v2/log/shop", json={"batched_log_events": events})

    for turn, text in enumerate(INJECTIONS):
        filters = [{"user_id": text}, {"sessions_ids": [text]}, {"metadata": {"odd": text}}]
        turns = max(1, 3 // examples(0.025))
        for condition in filters[turn % turns :: turns]:
            answer = await shop.post("/v2/projects/shop/tasks", json={"filters": condition})
            assert [task["id"] for task in answer.json()["tasks"]] == [f"odd {text}"], condition


@pytest.mark.parametrize(
    "filters",
    [
        {"scorer_value": {"a": 1}},
        {"classifier_value": {"a": "b"}},
        {"clusters_ids": 3},
        {"no_such_filter": 1},
        {"flag": "maybe"},
        {"user_id": 1},
        {"user_id": "a\0b"},
        {"user_id": "x" * 513},
        {"event_name": {"$ne": "x"}},
        {"tasks_ids": ["x"] * 20_000},
        {"created_at_start": "yesterday"},
        {"created_at_start": 1e300},
        {"created_at_start": True},
        {"task_position": -1},
        {"is_last_task": 1},
        {"metadata": {"a": {"$gt": 1}}},
        {"metadata": [1]},
        [],
        "x",
    ],
)
async def test_a_filter_that_can_not_be_followed_is_refused(shop: httpx.AsyncClient, filters: Any) -> None:
    answer = await shop.post("/v2/projects/shop/tasks", json={"filters": filters})

    assert answer.status_code == 422
    assert set(answer.json()["error"]) == {"code", "message", "hint"}


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(st.dictionaries(st.sampled_from(FILTERS) | st.text(max_size=5), values, max_size=4))
def test_any_filters_are_a_condition_or_a_problem(filters: Json) -> None:
    made: Condition | Problem
    try:
        made = condition_of(filters)
    except Problem as problem:
        made = problem

    assert isinstance(made, Condition) or made.status == 422
