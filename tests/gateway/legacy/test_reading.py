"""Tasks, sessions and a project, read through the legacy API in bounded pages."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from fixtures.labels import new_label
from gateway.conftest import ClientMaker
from gateway.legacy.conftest import FLIGHT, NOON_S, Json
from phospho_gateway.read_store import ReadStore
from phospho_gateway.settings import GatewaySettings
from phospho_schemas.messages import EventDefinition
from phospho_store.annotations.labels import LabelRepository
from phospho_store.registry.registry import Registry
from phospho_store.store import Store


@pytest.mark.parametrize("path", ["projects/shop/sessions", "sessions/trip/tasks"])
async def test_lists_refuse_parameters_that_they_do_not_have(shop: httpx.AsyncClient, path: str) -> None:
    answer = await shop.get(f"/v2/{path}", params={"limits": 1})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "unknown_filter")
    assert answer.json()["error"]["hint"] == "did you mean 'limit'? known: limit, cursor"


async def test_a_task_has_its_place_in_its_session(shop: httpx.AsyncClient) -> None:
    first, last = [(await shop.get(f"/v2/tasks/{name}")).json() for name in ("task-flight", "task-lisbon")]

    assert (first["task_position"], first["is_last_task"]) == (1, False)
    assert (last["task_position"], last["is_last_task"]) == (2, True)
    assert first["created_at"] == NOON_S
    assert first["metadata"] == FLIGHT["metadata"] | {"user_id": "user-1", "version_id": "v1"}
    assert (last["flag"], last["human_eval"]) == ("success", None)
    assert first["events"][0]["event_name"] == "flight"


async def test_an_id_may_hold_a_slash(shop: httpx.AsyncClient) -> None:
    event = FLIGHT | {"task_id": "a/b c", "session_id": "s/t"}
    await shop.post("/v2/log/shop", json={"batched_log_events": [event]})

    assert (await shop.get("/v2/tasks/a/b%20c")).json()["id"] == "a/b c"
    assert (await shop.get("/v2/sessions/s/t")).json()["id"] == "s/t"
    assert [task["id"] for task in (await shop.get("/v2/sessions/s/t/tasks")).json()["tasks"]] == ["a/b c"]


@pytest.mark.parametrize("path", ["/v2/tasks/nobody", "/v2/sessions/nobody", "/v2/sessions/nobody/transcript"])
async def test_what_is_not_there_is_a_404_in_the_one_shape(shop: httpx.AsyncClient, path: str) -> None:
    answer = await shop.get(path)

    assert answer.status_code == 404
    assert answer.json()["error"]["code"] in ("unknown_task", "unknown_session")


async def test_pages_follow_each_other_without_gap_and_without_repetition(shop: httpx.AsyncClient) -> None:
    whole = (await shop.post("/v2/projects/shop/tasks")).json()
    found: list[str] = []
    cursor = None
    while cursor is not None or not found:
        page = (await shop.post("/v2/projects/shop/tasks", json={"limit": 1, "cursor": cursor})).json()
        assert len(page["tasks"]) == 1
        found += [task["id"] for task in page["tasks"]]
        cursor = page["next_cursor"]

    assert found == [task["id"] for task in whole["tasks"]]
    assert whole["next_cursor"] is None


async def test_sessions_come_with_the_latest_first_and_in_pages(shop: httpx.AsyncClient) -> None:
    body: Json = {"filters": {"sessions_ids": ["trip", "complaint"]}, "limit": 1}
    first = (await shop.post("/v2/projects/shop/sessions", json=body)).json()
    second = (await shop.post("/v2/projects/shop/sessions", json=body | {"cursor": first["next_cursor"]})).json()

    assert [page["sessions"][0]["id"] for page in (first, second)] == ["complaint", "trip"]
    assert second["next_cursor"] is None
    assert second["sessions"][0]["stats"]["most_common_flag"] == "success"


async def test_a_page_holds_no_more_text_than_its_bound(
    shop: httpx.AsyncClient, make_client: ClientMaker, store: Store
) -> None:
    events = [FLIGHT | {"task_id": f"long-{n}", "session_id": "long", "input": "x" * 1_000} for n in range(5)]
    await shop.post("/v2/log/shop", json={"batched_log_events": events})
    settings = dataclasses.replace(GatewaySettings(), max_page_bytes=2_500)
    client = make_client(settings=settings)
    sizes, cursor = [], ""
    while cursor is not None:
        page = (await client.get("/v2/sessions/long/tasks", params={"cursor": cursor})).json()
        sizes.append(len(page["tasks"]))
        cursor = page["next_cursor"]

    assert sizes == [2, 2, 1]


async def test_flat_page_counts_a_tasks_texts_once_for_each_event(registry: Registry, make_client: ClientMaker) -> None:
    registry.save_project("zoo")
    for name in ("zebra", "animal", "stripes"):
        registry.save_definition(
            EventDefinition(
                project_id="zoo", name=name, engine="keyword", keywords=["zebra"], created_at=datetime.now(UTC)
            )
        )
    settings = dataclasses.replace(GatewaySettings(), max_page_bytes=2_500)
    client = make_client(registry.create_key("zoo").secret, settings=settings)
    texts = ["zebra " + "a" * 1_000] * 2 + ["b" * 1_000] * 2
    events = [{"task_id": f"flat-{n}", "input": text, "client_created_at": n + 1} for n, text in enumerate(texts)]
    await client.post("/v2/log/zoo", json={"batched_log_events": events})

    async def pages(**asked: Any) -> list[int]:
        rows, cursor = [], ""
        while cursor is not None:
            body = {"cursor": cursor or None} | asked
            page = (await client.post("/v2/projects/zoo/tasks/flat", json=body)).json()
            rows.append(len(page["flattened_tasks"]))
            cursor = page["next_cursor"]
        return rows

    assert await pages() == [2, 3, 3]
    assert await pages(with_events=False) == [2, 2]


async def test_flat_rows_are_one_for_each_event_and_one_for_a_task_without(shop: httpx.AsyncClient) -> None:
    rows = (await shop.post("/v2/projects/shop/tasks/flat", json={})).json()["flattened_tasks"]
    bare = (await shop.post("/v2/projects/shop/tasks/flat", json={"with_events": False, "with_sessions": False})).json()

    found = {row["task_id"]: row for row in rows}
    assert found["task-flight"]["event_name"] == "flight"
    assert found["task-alone"]["event_name"] is None
    assert found["task-flight"]["session_length"] == 2
    assert not [name for name in bare["flattened_tasks"][0] if name.startswith(("event_", "session_"))]


@pytest.mark.parametrize("limit", [0, -1, 10_001, 2**64, "5", 1.5, True, []])
async def test_a_limit_that_is_none_is_refused(shop: httpx.AsyncClient, limit: object) -> None:
    for path in ("/v2/projects/shop/tasks", "/v2/projects/shop/tasks/flat", "/v2/projects/shop/sessions"):
        answer = await shop.post(path, json={"limit": limit})

        assert answer.status_code == 422
        assert answer.json()["error"]["code"] == "invalid_limit"


@pytest.mark.parametrize("query", ["limit=-1", "limit=0", "limit=99999999999999999999", "limit=%C2%B2", "limit=1e3"])
async def test_a_limit_in_the_query_that_is_none_is_refused(shop: httpx.AsyncClient, query: str) -> None:
    assert (await shop.get(f"/v2/projects/shop/sessions?{query}")).status_code == 422
    assert (await shop.get(f"/v2/sessions/trip/tasks?{query}")).status_code == 422


@pytest.mark.parametrize("cursor", ["x", "W10", "WzEsMl0", "WzEsIlx1MDAwMCJd", "/" * 9_000])
async def test_a_cursor_that_nobody_gave_is_refused(shop: httpx.AsyncClient, cursor: str) -> None:
    assert (await shop.get("/v2/sessions/trip/tasks", params={"cursor": cursor})).status_code in (400, 422)
    assert (await shop.post("/v2/projects/shop/tasks", json={"cursor": cursor})).status_code in (400, 422)


async def test_a_field_that_would_change_the_answer_is_not_passed_over(shop: httpx.AsyncClient) -> None:
    answer = await shop.post("/v2/projects/shop/tasks", json={"pagination": {"page": 2}})

    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "unknown_field"


async def test_events_are_shown_as_people_corrected_them(shop: httpx.AsyncClient, store: Store) -> None:
    events = [FLIGHT | {"task_id": f"labelled-{n}", "session_id": "labelled"} for n in range(2)]
    await shop.post("/v2/log/shop", json={"batched_log_events": events})
    labels = [
        new_label("shop", "flight", "labelled-0", "rejected"),
        new_label("shop", "flight", "labelled-1", "confirmed"),
    ]
    await asyncio.to_thread(LabelRepository(store).save_labels, labels)

    first, second = (await shop.get("/v2/sessions/labelled/tasks")).json()["tasks"]

    assert first["events"] == []
    assert [(event["event_name"], event["confirmed"]) for event in second["events"]] == [("flight", True)]
    assert len((await shop.get("/v2/sessions/labelled")).json()["events"]) == 1
    body = {"filters": {"event_name": ["flight"], "sessions_ids": ["labelled"]}}
    assert [task["id"] for task in (await shop.post("/v2/projects/shop/tasks", json=body)).json()["tasks"]] == [
        "labelled-1"
    ]


async def test_a_new_session_says_that_its_data_is_kept_nowhere(shop: httpx.AsyncClient) -> None:
    answer = await shop.post("/v2/sessions", json={"project_id": "shop", "data": {"channel": "web"}})

    assert (answer.status_code, answer.json()["ignored"]) == (200, ["data"])
    assert (await shop.get(f"/v2/sessions/{answer.json()['id']}")).status_code == 404


async def test_a_project_that_has_gone_is_a_404(make_client: ClientMaker, reads: ReadStore) -> None:
    client = make_client("ph_admin_secret_of_the_tests")

    assert (await client.get("/v2/projects/nowhere")).json()["error"]["code"] == "unknown_project"
    assert (await client.get("/v2/tasks/task-flight")).json()["error"]["code"] == "project_required"
