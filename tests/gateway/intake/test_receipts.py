"""Receipts: written after the logs are durable, with the identity of each, and the refused ones by error code."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import httpx
import pytest

from gateway.conftest import ClientMaker
from gateway.recording import RecordingPublisher
from phospho_schemas.topics import Keyed
from phospho_web.publisher import ReceiptsUnpublished

EVENT = {"input": "hello", "output": "hi"}


async def written(publisher: RecordingPublisher) -> list[dict[str, Any]]:
    """Return the receipts, once those of refused requests are written too."""
    for _ in range(10):
        await asyncio.sleep(0)
    return publisher.receipts


async def test_receipt_holds_the_identity_of_each_durable_log(
    client: httpx.AsyncClient, publisher: RecordingPublisher
) -> None:
    answer = await client.post("/api/v1/events/batch", json={"events": [EVENT | {"task_id": "t1"}, EVENT, {}]})

    [receipt] = await written(publisher)
    body = answer.json()
    assert (receipt["receipt_id"], receipt["source"]) == (body["receipt_id"], "batch")
    assert answer.headers["Phospho-Receipt"] == body["receipt_id"]
    assert receipt["rejected"] == {"missing_input": 1}
    assert receipt["item_kinds"] == ["task", "task"]
    assert receipt["item_ids"] == ["t1", body["results"][1]["task_id"]]
    assert receipt["item_revisions"] == [log["revision"] for log in publisher.documents]


async def test_receipt_of_feedback_names_task_and_feedback(
    client: httpx.AsyncClient, publisher: RecordingPublisher
) -> None:
    answer = await client.post("/api/v1/events/a%2Fb/feedback", json={"score": 1})

    [receipt] = await written(publisher)
    assert receipt["item_kinds"] == ["feedback"]
    assert receipt["item_ids"] == [f"a/b/{answer.json()['feedback_id']}"]


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("/api/v1/events", b"{", "malformed_json"),
        ("/api/v1/events", b'{"input": "x"}', "missing_output"),
        ("/api/v1/events/batch", b'{"events": []}', "empty_batch"),
        ("/v2/log/shop", b"[]", "invalid_body"),
        ("/v2/tasks/t/flag", b"{", "malformed_json"),
        ("/v2/tasks/t/human-eval", b"[]", "invalid_body"),
        ("/v2/tasks/t", b"{", "malformed_json"),
        ("/v2/projects/shop/tasks/flat-update", b"{", "malformed_json"),
        ("/v3/log", b"{", "malformed_json"),
    ],
)
async def test_receipt_counts_a_refused_request(
    client: httpx.AsyncClient, publisher: RecordingPublisher, path: str, body: bytes, code: str
) -> None:
    answer = await client.post(path, content=body)

    [receipt] = await written(publisher)
    assert answer.status_code >= 400
    assert answer.headers["Phospho-Receipt"] == receipt["receipt_id"]
    assert (receipt["rejected"], receipt["item_ids"]) == ({code: 1}, [])


async def test_refused_requests_of_strangers_have_no_receipt(
    client: httpx.AsyncClient, publisher: RecordingPublisher
) -> None:
    answer = await client.post("/api/v1/events", json=EVENT, headers={"Authorization": "Bearer ph_wrong"})

    assert answer.status_code == 401
    assert "Phospho-Receipt" not in answer.headers
    assert await written(publisher) == []


class ForgetfulPublisher(RecordingPublisher):
    """Takes logs, and no receipts until `takes_receipts`."""

    takes_receipts = False

    async def publish(self, messages: Sequence[Keyed], receipts: Sequence[Keyed] = ()) -> None:
        await super().publish(messages, receipts if self.takes_receipts else ())
        if receipts and not self.takes_receipts:
            raise ReceiptsUnpublished("no such topic")


async def test_failure_of_receipts_refuses_no_log(make_client: ClientMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    """The receipt is written in the background, and its id is in no header before."""
    monkeypatch.setattr("phospho_gateway.intake.intake._RECEIPT_PAUSES_S", [0.0] * 1_000)
    publisher = ForgetfulPublisher()

    answer = await make_client(publisher=publisher).post("/api/v1/events", json=EVENT)

    assert answer.status_code == 201
    assert "Phospho-Receipt" not in answer.headers
    assert (len(publisher.messages), await written(publisher)) == (1, [])
    publisher.takes_receipts = True
    [receipt] = await written(publisher)
    assert receipt["item_ids"] == [publisher.documents[0]["task_id"]]
