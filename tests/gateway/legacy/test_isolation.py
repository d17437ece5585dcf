"""A key reads and changes what is of its own project, and nothing else; without a key nobody reads."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from gateway.conftest import ADMIN_SECRET, ClientMaker
from gateway.legacy.conftest import SECRET, Json

READS: list[tuple[str, str, Json | None]] = [
    ("GET", "/v2/tasks/task-secret", None),
    ("GET", "/v2/sessions/vault", None),
    ("GET", "/v2/sessions/vault/tasks", None),
    ("POST", "/v2/sessions/vault/tasks", None),
    ("GET", "/v2/sessions/vault/transcript", None),
    ("GET", "/v2/projects/rival", None),
    ("GET", "/v2/projects/rival/sessions", None),
    ("POST", "/v2/projects/rival/sessions", None),
    ("POST", "/v2/projects/rival/tasks", None),
    ("POST", "/v2/projects/rival/tasks/flat", {}),
]
WRITES: list[tuple[str, str, Json | None]] = [
    ("POST", "/v2/tasks/task-secret", {"metadata": {"a": 1}}),
    ("POST", "/v2/tasks", {"project_id": "rival", "input": "x"}),
    ("POST", "/v2/sessions", {"project_id": "rival"}),
    ("POST", "/v2/projects/rival/tasks/flat-update", {"flattened_tasks": [{"task_id": "task-secret"}]}),
    ("POST", "/v3/log", {"project_id": "rival", "batched_log_events": []}),
]
STRANGE_IDS = [
    "%00",
    "a%00b",
    "%ff%fe",
    "x" * 513,
    "..%2f..%2fetc",
    "%27%20OR%201=1--",
    "%0a",
    "%F0%9F%99%82",
    "%2e%2e",
]


@pytest.mark.parametrize(("method", "path", "body"), READS + WRITES)
async def test_another_projects_key_gets_nothing(
    rival: httpx.AsyncClient, shop: httpx.AsyncClient, method: str, path: str, body: Any
) -> None:
    answer = await shop.request(method, path, json=body)

    assert answer.status_code in (403, 404)
    assert set(answer.json()["error"]) == {"code", "message", "hint"}
    assert SECRET["input"] not in answer.text


@pytest.mark.parametrize(("method", "path", "body"), READS)
async def test_its_own_key_gets_it(rival: httpx.AsyncClient, method: str, path: str, body: Any) -> None:
    answer = await rival.request(method, path, json=body)

    assert answer.status_code == 200
    assert path == "/v2/projects/rival" or "vault" in answer.text or SECRET["input"] in answer.text


@pytest.mark.parametrize(("method", "path", "body"), READS + WRITES)
async def test_nobody_gets_it_without_a_key(
    make_client: ClientMaker, rival: httpx.AsyncClient, method: str, path: str, body: Any
) -> None:
    for secret in (None, "ph_wrong"):
        assert (await make_client(secret).request(method, path, json=body)).status_code == 401


async def test_an_administrator_reads_the_project_that_is_named(
    make_client: ClientMaker, rival: httpx.AsyncClient
) -> None:
    client = make_client(ADMIN_SECRET)
    headers = {"X-Phospho-Project": "rival"}

    assert (await client.get("/v2/tasks/task-secret", headers=headers)).json()["input"] == SECRET["input"]
    assert (await client.get("/v2/sessions/vault", headers={"X-Phospho-Project": "shop"})).status_code == 404
    assert (await client.get("/v2/projects/rival/sessions", headers={"X-Phospho-Project": "shop"})).status_code == 403


async def test_an_id_of_two_projects_is_two_tasks(rival: httpx.AsyncClient, shop: httpx.AsyncClient) -> None:
    for client, name in ((rival, "rival"), (shop, "shop")):
        event = {"task_id": "same", "session_id": "same", "input": f"of {name}"}
        await client.post(f"/v2/log/{name}", json={"batched_log_events": [event]})
    await rival.post("/v2/tasks/same", json={"flag": "failure", "notes": "of the rival"})

    task = (await shop.get("/v2/tasks/same")).json()
    assert (task["input"], task["flag"], task["session_id"]) == ("of shop", None, "same")
    assert (task["task_position"], task["is_last_task"], task["notes"]) == (1, True, None)
    assert (await shop.get("/v2/sessions/same")).json()["stats"]["most_common_flag"] is None


@pytest.mark.parametrize("strange", STRANGE_IDS)
async def test_a_strange_id_is_not_found_or_refused(shop: httpx.AsyncClient, strange: str) -> None:
    for path in (f"/v2/tasks/{strange}", f"/v2/sessions/{strange}", f"/v2/sessions/{strange}/tasks"):
        answer = await shop.get(path)
        assert answer.status_code in (404, 422), path
        assert set(answer.json()["error"]) == {"code", "message", "hint"}
    assert (await shop.post(f"/v2/tasks/{strange}", json={})).status_code in (404, 422)
    assert (await shop.get(f"/v2/projects/{strange}")).status_code in (403, 404, 422)
