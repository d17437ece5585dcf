"""Pulls from Langfuse and LangSmith: page by page, resumable, and to public addresses only."""

from __future__ import annotations

import json
from collections import deque
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from dashboard.imports.conftest import Browser
from dashboard.imports.remote_api import API_KEY, PROJECT, PUBLIC_KEY, SECRET_KEY, RemoteApi, trace
from phospho_dashboard.imports import pages, pull

LANGFUSE = {"source": "langfuse", "key": [PUBLIC_KEY, SECRET_KEY]}
LANGSMITH = {"source": "langsmith", "key": [API_KEY], "remote_project": PROJECT}


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pull, "_RETRIES_S", (0.01, 0.01))


async def test_pull_from_langfuse_is_imported_like_a_file(browser: Browser, api: RemoteApi) -> None:
    path = (await browser.pull(**LANGFUSE, base_url=api.url, since="2026-03-01")).headers["location"]
    assert await browser.ended(path, "pull") == {"source": "Langfuse", "state": "done", "records": 5, "problem": ""}
    assert (await browser.ended(path))["accepted"] == 5
    await browser.act(path, "import", [], format="langfuse")
    await browser.ended(path)

    first = browser.logged[0]
    assert [log["task_id"] for log in browser.logged] == [f"trace-{number}" for number in range(5)]
    assert (first["session_id"], first["user_id"], first["metadata"]["plan"]) == ("s-0", "ann", "pro")
    assert first["metadata"]["latency_ms"] == 1500
    assert [call[1].partition("page=")[2][:1] for call in api.calls] == ["1", "2", "3"]
    assert "fromTimestamp=2026-03-01T00%3A00%3A00" in api.calls[0][1]


async def test_pull_includes_the_last_day_in_the_zone_of_the_page(browser: Browser, api: RemoteApi) -> None:
    browser.client.cookies.set("time_zone", "Europe/Berlin")
    path = (await browser.pull(**LANGFUSE, base_url=api.url, since="2026-03-01", until="2026-03-01")).headers[
        "location"
    ]
    await browser.ended(path, "pull")

    assert "fromTimestamp=2026-02-28T23%3A00%3A00" in api.calls[0][1]
    assert "toTimestamp=2026-03-01T23%3A00%3A00" in api.calls[0][1]


async def test_pull_from_langsmith_asks_for_root_runs_of_all_times(browser: Browser, api: RemoteApi) -> None:
    path = (await browser.pull(**LANGSMITH, base_url=api.url)).headers["location"]
    assert (await browser.ended(path, "pull"))["records"] == 5
    await browser.ended(path)
    await browser.act(path, "import", [], format="langsmith")
    await browser.ended(path)

    log = browser.logged[0]
    assert (log["task_id"], log["session_id"], log["user_id"]) == ("run-0", "th-1", "ann")
    assert (log["input"], log["output"]) == ("Where is order 0?", "On its way")
    assert (log["metadata"]["model"], log["metadata"]["tokens_in"], log["metadata"]["latency_ms"]) == (
        "gpt-4o",
        12,
        2000,
    )
    method, called, body = api.calls[0]
    assert (method, called, body["project_ids"], body["is_root"]) == ("POST", "/api/v2/runs/query", [PROJECT], True)
    assert body["min_start_time"] < "2016"


async def test_pull_goes_on_where_it_ended(browser: Browser, api: RemoteApi) -> None:
    api.statuses = deque([200, 500, 429, 200, 503, 503, 503])
    path = (await browser.pull(**LANGFUSE, base_url=api.url)).headers["location"]
    failed = await browser.ended(path, "pull")
    page = (await browser.client.get(path)).text
    await browser.act(path, "continue", [])
    done = await browser.ended(path, "pull")

    assert (failed["state"], failed["records"]) == ("failed", 4)
    assert "HTTP 503" in failed["problem"]
    assert "Continue</button>" in page
    assert (done["state"], done["records"]) == ("done", 5)
    assert (await browser.ended(path))["accepted"] == 5, "no record is there twice"


@pytest.mark.parametrize(
    ("fields", "status", "text"),
    [
        ({"source": "other", "key": ["k"]}, 422, "Choose where to pull from"),
        ({"source": "langfuse", "key": ["only one"]}, 422, "needs its public key and secret key"),
        ({"source": "langsmith", "key": ["k\r\nX-Other: 1"], "remote_project": "p"}, 422, "needs its api key"),
        ({"source": "langsmith", "key": ["k"]}, 422, "needs the id of a project"),
        ({**LANGFUSE, "base_url": "https://example.com/?a=b"}, 422, "address can&#39;t be used"),
        ({**LANGFUSE, "base_url": "http://[abc"}, 422, "address can&#39;t be used"),
        ({**LANGFUSE, "since": "yesterday"}, 422, "is not a time"),
    ],
)
async def test_pull_that_is_wrong_is_refused(browser: Browser, fields: dict[str, Any], status: int, text: str) -> None:
    answer = await browser.pull(**fields)

    assert answer.status_code == status
    assert text in answer.text


async def test_wrong_key_and_foreign_answers_are_told(
    browser: Browser, api: RemoteApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = (await browser.pull(source="langfuse", key=["pk", "sk"], base_url=api.url)).headers["location"]
    assert "refused the key" in (await browser.ended(path, "pull"))["problem"]
    assert "sk" not in (await browser.client.get(path)).text.partition("<main")[2].split()

    monkeypatch.setattr(pull, "_MAX_PAGE_BYTES", 100)
    path = (await browser.pull(**LANGFUSE, base_url=api.url)).headers["location"]
    assert "larger than" in (await browser.ended(path, "pull"))["problem"]


async def test_pull_ends_at_the_largest_file(browser: Browser, api: RemoteApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "MAX_FILE_BYTES", 300)
    path = (await browser.pull(**LANGFUSE, base_url=api.url)).headers["location"]

    failed = await browser.ended(path, "pull")

    assert (failed["state"], failed["records"]) == ("failed", 2)
    assert "pull a later time" in failed["problem"]
    await browser.act(path, "continue", [])
    assert (await browser.ended(path, "pull"))["records"] == 2, "it stays within the bound"
    await browser.act(path, "preview", [])
    assert (await browser.ended(path))["accepted"] == 2


async def test_pull_of_pages_without_end_ends(
    browser: Browser, api: RemoteApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pull, "_MAX_PAGES", 3)
    api.records, api.page_size = 1000, 1
    path = (await browser.pull(**LANGFUSE, base_url=api.url)).headers["location"]

    failed = await browser.ended(path, "pull")
    await browser.act(path, "continue", [])

    assert (failed["state"], failed["records"]) == ("failed", 3)
    assert failed["problem"] == "3 pages were pulled. Continue, or import them first."
    assert (await browser.ended(path, "pull"))["records"] == 6


@pytest.mark.parametrize("bomb", ["[" + "{}," * 1_999_999 + "{}]", "[" * 3_000_000])
async def test_page_of_too_many_objects_is_not_parsed(
    browser: Browser, api: RemoteApi, monkeypatch: pytest.MonkeyPatch, bomb: str
) -> None:
    loads = Mock()
    monkeypatch.setattr(pull, "orjson", SimpleNamespace(loads=loads))
    api.content = bomb
    path = (await browser.pull(**LANGFUSE, base_url=api.url)).headers["location"]

    assert "too many lists and objects" in (await browser.ended(path, "pull"))["problem"]
    assert not loads.called


async def test_pulled_record_that_is_nested_too_deep_harms_no_other(browser: Browser, api: RemoteApi) -> None:
    deep = "[" * 600 + "]" * 600
    api.content = f'{{"data": [{{"id": "x", "input": {deep}}}, {json.dumps(trace(1))}], "meta": {{"totalPages": 1}}}}'
    path = (await browser.pull(**LANGFUSE, base_url=api.url)).headers["location"]

    assert (await browser.ended(path, "pull"))["records"] == 2
    counts = await browser.ended(path)
    assert (counts["accepted"], counts["rejected"] + counts["skipped"]) == (1, 1)


async def test_pull_never_reaches_this_machine(world: Any, api: RemoteApi) -> None:
    for host in ("127.0.0.1", "localhost", "0x7f.1"):
        url = api.url.replace("127.0.0.1", host)
        answer = world.integrations.fetch("GET", url, {}, b"", timeout_s=5, max_bytes=1000)
        assert (answer.status, api.calls) == (0, []), host
