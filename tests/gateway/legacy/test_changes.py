"""Changes of stored tasks take the way of every log, report what they did, and do it once."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from gateway.conftest import ClientMaker
from gateway.legacy.conftest import NOON_S, Json
from gateway.recording import RecordingPublisher
from phospho_cli.processes.embedded.pipeline import Pipeline
from phospho_store.store import Store

RAW = {"model": "gpt-4o", "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hm?"}]}
LOGGED: Json = {
    "session_id": "changes",
    "input": "Hm?",
    "raw_input": RAW,
    "output": "Yes.",
    "raw_output": {"choices": [{"message": {"content": "Yes."}}], "usage": {"prompt_tokens": 7}},
    "user_id": "user-1",
    "flag": "success",
    "client_created_at": NOON_S + 0.25,
    "metadata": {"a": {"b": [1, {"c": None}]}, "text": "2026-01-01"},
    "seen": 2**53,
}
FLAT_UPDATE = "/v2/projects/shop/tasks/flat-update"


async def _logged(client: httpx.AsyncClient, task_id: str, **fields: Any) -> Json:
    """Log a task and return it as it is read."""
    await client.post("/v2/log/shop", json={"batched_log_events": [LOGGED | {"task_id": task_id} | fields]})
    return await _read(client, task_id)


async def _read(client: httpx.AsyncClient, task_id: str) -> Json:
    answer = await client.get(f"/v2/tasks/{task_id}")
    assert answer.status_code == 200, answer.text
    task: Json = answer.json()
    return task


async def _row(client: httpx.AsyncClient, task_id: str) -> Json:
    rows = (await client.post("/v2/projects/shop/tasks/flat", json={"with_events": False})).json()["flattened_tasks"]
    return next(row for row in rows if row["task_id"] == task_id)


async def test_a_change_of_metadata_leaves_the_rest_of_the_task_as_it_was(shop: httpx.AsyncClient) -> None:
    before = await _logged(shop, "keeps")

    answer = await shop.post("/v2/tasks/keeps", json={"metadata": {"text": "new", "user_id": "user-2"}})

    metadata = before["metadata"] | {"text": "new", "user_id": "user-2"}
    assert answer.json() == before | {"metadata": metadata}
    assert await _read(shop, "keeps") == before | {"metadata": metadata}
    found = await shop.post("/v2/projects/shop/tasks", json={"filters": {"user_id": "user-2", "tasks_ids": ["keeps"]}})
    assert len(found.json()["tasks"]) == 1


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v2/tasks/overtaken", {"metadata": {"text": "changed"}}),
        (FLAT_UPDATE, {"flattened_tasks": [{"task_id": "overtaken", "task_metadata": {"text": "changed"}}]}),
    ],
)
async def test_a_log_that_was_accepted_and_has_not_landed_wins_over_a_change(
    path: str, body: Json, shop: httpx.AsyncClient, make_client: ClientMaker, pipeline: Pipeline
) -> None:
    await _logged(shop, "overtaken")
    kafka = RecordingPublisher()
    late = {"task_id": "overtaken", "session_id": "changes", "input": "Hm?", "output": "No."}
    await make_client(publisher=kafka).post("/v2/log/shop", json={"batched_log_events": [late]})

    assert (await shop.post(path, json=body)).status_code == 200
    assert (await _read(shop, "overtaken"))["metadata"]["text"] == "changed"
    await pipeline.publish(kafka.messages)

    task = await _read(shop, "overtaken")
    assert (task["output"], task["metadata"]) == ("No.", {})


async def test_a_change_leaves_where_a_task_came_from(shop: httpx.AsyncClient, store: Store) -> None:
    await _logged(shop, "from-v2")

    await shop.post("/v2/tasks/from-v2", json={"metadata": {"text": "new"}})

    rows = list(store.rows("SELECT source, metadata FROM task_rows FINAL WHERE task_id = 'from-v2'"))
    assert [(row["source"], row["metadata"]["text"]) for row in rows] == [("v2", "new")]


async def test_a_flag_with_notes_is_feedback_and_sent_again_it_is_the_same(shop: httpx.AsyncClient) -> None:
    await _logged(shop, "judged")
    body = {"flag": "failure", "notes": "Too brief", "flag_source": "owner"}

    first, second = [(await shop.post("/v2/tasks/judged", json=body)).json() for _ in range(2)]

    assert (first["flag"], first["notes"], first["last_eval"]["source"]) == ("failure", "Too brief", "owner")
    assert second == first == await _read(shop, "judged")


async def test_notes_without_any_flag_are_kept_with_the_task(shop: httpx.AsyncClient) -> None:
    await _logged(shop, "noted", flag=None)

    assert (await shop.post("/v2/tasks/noted", json={"notes": "Later"})).json()["flag"] is None
    assert (await _read(shop, "noted"))["notes"] == "Later"


async def test_a_change_of_nothing_writes_nothing(shop: httpx.AsyncClient) -> None:
    before = await _logged(shop, "idle")
    body = {"flattened_tasks": [{"task_id": "idle", "task_eval": "success", "task_metadata": before["metadata"]}]}

    answer = (await shop.post(FLAT_UPDATE, json=body)).json()

    assert answer == {"changed": 0, "unchanged": 1, "not_found": [], "errors": [], "ignored_fields": []}
    assert await _read(shop, "idle") == before


async def test_a_flat_update_says_what_it_could_not_write(shop: httpx.AsyncClient) -> None:
    await _logged(shop, "flat")
    rows = [
        {"task_id": "flat", "task_metadata": {"a": 1}, "event_name": "flight", "event_removed": True},
        {"task_id": "flat", "task_metadata.b": 2, "task_metadata": {"a": 1}, "task_eval": "failure"},
        {"task_id": "nobody", "task_eval": "success", "task_input": "other words", "event_id": None},
    ]

    answer = (await shop.post(FLAT_UPDATE, json={"flattened_tasks": rows})).json()

    assert answer == {
        "changed": 1,
        "unchanged": 0,
        "not_found": ["nobody"],
        "errors": [],
        "ignored_fields": ["event_name", "event_removed", "task_input"],
    }
    row = await _row(shop, "flat")
    assert (row["task_metadata"]["a"], row["task_metadata"]["b"], row["task_eval"]) == (1, 2, "failure")


async def test_feedback_keeps_its_source_and_time(shop: httpx.AsyncClient) -> None:
    await _logged(shop, "timed")
    row = {"task_id": "timed", "task_eval": "failure", "task_eval_source": "owner", "task_eval_at": NOON_S + 5}

    await shop.post(FLAT_UPDATE, json={"flattened_tasks": [row]})

    assert {name: (await _row(shop, "timed"))[name] for name in row} == row


async def test_an_idempotency_key_does_not_make_the_changes_of_many_tasks_one(shop: httpx.AsyncClient) -> None:
    names = ["one", "two"]
    for name in names:
        await _logged(shop, name)
    body = {"flattened_tasks": [{"task_id": name, "task_eval": "failure"} for name in names]}

    await shop.post(FLAT_UPDATE, json=body, headers={"Idempotency-Key": "k"})

    assert [(await _read(shop, name))["flag"] for name in names] == ["failure", "failure"]


async def test_more_tasks_than_are_read_at_a_time_are_all_changed(shop: httpx.AsyncClient) -> None:
    events = [{"task_id": f"many-{n}", "session_id": "many", "input": "x"} for n in range(1_200)]
    await shop.post("/v2/log/shop", json={"batched_log_events": events})
    rows = [{"task_id": event["task_id"], "task_eval": "success"} for event in events]

    answer = (await shop.post(FLAT_UPDATE, json={"flattened_tasks": rows})).json()

    assert (answer["changed"], answer["not_found"]) == (1_200, [])
    flags = await shop.post("/v2/projects/shop/tasks", json={"filters": {"sessions_ids": ["many"]}, "limit": 2_000})
    assert {task["flag"] for task in flags.json()["tasks"]} == {"success"}


async def test_a_change_that_is_refused_harms_its_own_task_only(shop: httpx.AsyncClient) -> None:
    for name in ("fine", "refused", "fine-too"):
        await _logged(shop, name)
    before = await _read(shop, "refused")
    rows: list[Json] = [{"task_id": name, "task_eval": "failure"} for name in ("fine", "refused", "fine-too")]
    rows[1]["task_metadata"] = {"user_id": 7}

    answer = (await shop.post(FLAT_UPDATE, json={"flattened_tasks": rows})).json()

    (error,) = answer["errors"]
    assert (error["task_id"], error["error"]["code"]) == ("refused", "invalid_type")
    assert (answer["changed"], answer["unchanged"], answer["not_found"]) == (2, 0, [])
    assert await _read(shop, "refused") == before
    assert [(await _read(shop, name))["flag"] for name in ("fine", "fine-too")] == ["failure", "failure"]


async def test_a_row_that_can_not_be_read_leaves_the_rows_before_it_unwritten(shop: httpx.AsyncClient) -> None:
    before = await _logged(shop, "first-row")
    rows = [{"task_id": "first-row", "task_eval": "failure"}, {"task_id": ""}]

    assert (await shop.post(FLAT_UPDATE, json={"flattened_tasks": rows})).status_code == 422
    assert await _read(shop, "first-row") == before


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"task_id": ""},
        {"task_id": "a\0"},
        {"task_id": "x" * 513},
        {"task_id": "t", "task_eval": "maybe"},
        {"task_id": "t", "task_eval_at": "noon"},
        {"task_id": "t", "task_metadata": []},
        "row",
    ],
)
async def test_a_row_that_can_not_be_read_is_refused(shop: httpx.AsyncClient, row: Any) -> None:
    answer = await shop.post(FLAT_UPDATE, json={"flattened_tasks": [row]})

    assert answer.status_code == 422


async def test_a_task_is_made_with_all_that_was_sent(shop: httpx.AsyncClient) -> None:
    body = {
        "task_id": "made",
        "session_id": "changes",
        "sender_id": "s-1",
        "input": "In",
        "output": "Out",
        "flag": "failure",
        "metadata": {"m": 1},
        "data": {"d": [2]},
        "additional_input": {"i": 3},
        "additional_output": {"o": 4},
    }

    answer = (await shop.post("/v2/tasks", json=body)).json()

    read = await _read(shop, "made")
    assert read["metadata"] == {"m": 1, "data": {"d": [2]}, "sender_id": "s-1"}
    said = ("id", "session_id", "input", "output", "flag", "metadata", "data", "additional_input", "additional_output")
    assert {name: answer[name] for name in said} == {name: read[name] for name in said}


@pytest.mark.parametrize("field", ["additional_input", "data", "metadata", "input", "output"])
async def test_a_new_task_of_a_wrong_type_is_refused(shop: httpx.AsyncClient, field: str) -> None:
    assert (await shop.post("/v2/tasks", json={"input": "In", field: [1]})).status_code == 422


async def test_a_change_keeps_metadata_that_no_column_holds(shop: httpx.AsyncClient) -> None:
    metadata = {"a.b": 1, "a": {"b": [True, 1]}, "none": None, "n": 2**70, "text": "old"}
    before = await _logged(shop, "dotted", metadata=metadata)
    assert {name: before["metadata"][name] for name in metadata} == metadata

    await shop.post("/v2/tasks/dotted", json={"metadata": {"text": "new"}})

    assert (await _read(shop, "dotted"))["metadata"] == before["metadata"] | {"text": "new"}
    body = {"filters": {"metadata": {"a.b": 1, "text": "new"}, "tasks_ids": ["dotted"]}}
    assert len((await shop.post("/v2/projects/shop/tasks", json=body)).json()["tasks"]) == 1
