"""Valid events: the responses, and the published messages."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from gateway.recording import RecordingPublisher
from phospho_schemas.ids import session_id_of_task
from phospho_schemas.messages import RawLog

EVENT = {"input": "What is 2+2?", "output": "4"}


async def test_an_event_is_answered_with_its_id_its_session_and_its_time(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/v1/events", json=EVENT | {"session_id": "sess_1"})

    assert answer.status_code == 201
    body = answer.json()
    assert set(body) == {"event_id", "session_id", "created_at", "receipt_id"}
    assert uuid.UUID(body["event_id"]).version == 7
    assert body["session_id"] == "sess_1"
    assert abs((datetime.now(UTC) - datetime.fromisoformat(body["created_at"])).total_seconds()) < 60


async def test_an_event_without_a_session_is_one_by_itself(
    client: httpx.AsyncClient, publisher: RecordingPublisher
) -> None:
    body = (await client.post("/api/v1/events", json=EVENT)).json()

    assert body["session_id"] == session_id_of_task(body["event_id"])
    assert "session_id" not in publisher.documents[0], "extraction derives the same"
    assert publisher.messages[0].key == f"shop:{body['session_id']}".encode()


async def test_the_message_is_a_raw_log_with_what_the_gateway_knows(
    client: httpx.AsyncClient, publisher: RecordingPublisher
) -> None:
    event = EVENT | {"session_id": "s", "task_id": "t", "user_id": "u", "metadata": {"model": "m"}, "mood": [1]}

    await client.post("/api/v1/events", json=event)

    document = publisher.documents[0]
    RawLog.model_validate(document)
    assert document.items() >= event.items()
    assert (document["schema_version"], document["kind"], document["project_id"]) == (1, "log", "shop")
    assert document["source"] == "api_v1"
    assert document["received_at"].endswith("Z")
    assert publisher.messages[0].key == b"shop:s"
    assert b"\n" not in publisher.messages[0].value


async def test_revisions_rise_with_every_event(client: httpx.AsyncClient, publisher: RecordingPublisher) -> None:
    await client.post("/api/v1/events/batch", json={"events": [EVENT] * 50})
    await client.post("/api/v1/events", json=EVENT)

    revisions = [document["revision"] for document in publisher.documents]
    assert revisions == sorted(set(revisions))
    assert len({document["task_id"] for document in publisher.documents}) == 51


async def test_a_batch_has_one_result_per_event_and_a_bad_one_harms_itself_only(
    client: httpx.AsyncClient, publisher: RecordingPublisher
) -> None:
    events = [EVENT | {"task_id": "a"}, {"output": "no input"}, EVENT | {"task_id": "c", "session_id": "s"}, 7]

    answer = await client.post("/api/v1/events/batch", json={"events": events})

    assert answer.status_code == 200
    body = answer.json()
    assert (body["accepted"], body["rejected"]) == (2, 2)
    assert [result["status"] for result in body["results"]] == ["accepted", "rejected", "accepted", "rejected"]
    assert [result.get("event_id") for result in body["results"]] == ["a", None, "c", None]
    assert body["results"][1]["error"]["code"] == "missing_input"
    assert body["results"][2]["session_id"] == "s"
    assert all(set(result["error"]) == {"code", "message", "hint"} for result in body["results"] if "error" in result)
    assert [document["task_id"] for document in publisher.documents] == ["a", "c"]
    assert publisher.batches == [2], "one publish for the request"


async def test_a_batch_of_bad_events_publishes_nothing(
    client: httpx.AsyncClient, publisher: RecordingPublisher
) -> None:
    answer = await client.post("/api/v1/events/batch", json={"events": [{}, None]})

    assert (answer.status_code, answer.json()["rejected"]) == (200, 2)
    assert publisher.batches == []


async def test_the_legacy_log_answers_each_event_or_its_error(
    client: httpx.AsyncClient, publisher: RecordingPublisher
) -> None:
    event = {
        "client_created_at": 1_700_000_000,
        "last_update": 1_700_000_000,
        "project_id": "shop",
        "session_id": None,
        "task_id": "t1",
        "input": "hi",
        "raw_input": {"messages": [{"role": "user", "content": "hi"}]},
        "raw_input_type_name": "dict",
        "output": None,
        "raw_output": None,
        "version_id": None,
        "user_id": None,
        "flag": None,
        "metadata": {},
        "mood": "good",
    }

    answer = await client.post("/v2/log/shop", json={"batched_log_events": [event, {"output": "x"}]})

    assert answer.status_code == 200
    logged, refused = answer.json()["logged_events"]
    assert logged == event | {"session_id": session_id_of_task("t1")}
    assert list(refused) == ["error_in_log"]
    assert "input is missing" in refused["error_in_log"]
    assert publisher.documents[0]["source"] == "v2"
    assert publisher.documents[0]["mood"] == "good"
    RawLog.model_validate(publisher.documents[0])


@pytest.mark.parametrize(
    ("given", "answered"),
    [
        ({"client_created_at": 1_700_000_000}, "2023-11-14T22:13:20.000Z"),
        ({"client_created_at": 1_700_000_000.25}, "2023-11-14T22:13:20.250Z"),
        ({"client_created_at": 1_700_000_000_250}, "2023-11-14T22:13:20.250Z"),
        ({"client_created_at": "2023-11-14T23:13:20.25+01:00"}, "2023-11-14T22:13:20.250Z"),
        ({"client_created_at": 1_700_000_000.0006}, "2023-11-14T22:13:20.001Z"),
        ({"client_created_at": "1700000000.25"}, "2023-11-14T22:13:20.250Z"),
        ({"created_at": "1700000000250"}, "2023-11-14T22:13:20.250Z"),
        ({"created_at": "20260303"}, "2026-03-03T00:00:00.000Z"),
        ({"created_at": "2026-03-03T10:30:00Z"}, "2026-03-03T10:30:00.000Z"),
        ({"created_at": "2026-03-03T10:30:00+02:00"}, "2026-03-03T08:30:00.000Z"),
        ({"created_at": "2026-03-03"}, "2026-03-03T00:00:00.000Z"),
        ({"created_at": 1_700_000_000}, "2023-11-14T22:13:20.000Z"),
    ],
)
async def test_the_clients_time_is_the_time_of_the_event(
    given: dict[str, Any], answered: str, client: httpx.AsyncClient
) -> None:
    answer = await client.post("/api/v1/events", json=EVENT | given)

    assert answer.json()["created_at"] == answered


@pytest.mark.parametrize("seconds", [0, -1e300, 1e300, 1.7e308, 1e30, 4_000_000_000])
async def test_an_absurd_time_is_kept_in_the_message_and_answered_as_the_arrival(
    seconds: float, client: httpx.AsyncClient, publisher: RecordingPublisher
) -> None:
    answer = await client.post("/api/v1/events", json=EVENT | {"client_created_at": seconds})

    assert answer.json()["created_at"] == publisher.documents[0]["received_at"]
    assert publisher.documents[0]["client_created_at"] == seconds


async def test_ids_may_be_numbers_and_empty_ones_are_none(
    client: httpx.AsyncClient, publisher: RecordingPublisher
) -> None:
    event = EVENT | {"task_id": 12, "user_id": 7, "session_id": "", "version_id": None, "flag": "", "metadata": None}

    answer = await client.post("/api/v1/events", json=event)

    assert answer.json()["event_id"] == "12"
    document = publisher.documents[0]
    assert (document["task_id"], document["user_id"]) == ("12", "7")
    assert not {"session_id", "version_id", "flag", "metadata"} & set(document)


async def test_event_id_is_another_name_of_task_id(client: httpx.AsyncClient, publisher: RecordingPublisher) -> None:
    for given in ({"event_id": "e"}, {"event_id": "e", "task_id": "e"}, {"event_id": "e", "task_id": None}):
        answer = await client.post("/api/v1/events", json=EVENT | given)
        assert answer.json()["event_id"] == "e"
    await client.post("/api/v1/events", json=EVENT | {"event_id": "other", "task_id": "t"})

    assert [document["task_id"] for document in publisher.documents] == ["e", "e", "e", "t"]
    assert all("event_id" not in document for document in publisher.documents)
    assert publisher.documents[3]["metadata"] == {"event_id": "other"}


async def test_a_clients_keys_with_the_gateways_names_become_metadata(
    client: httpx.AsyncClient, publisher: RecordingPublisher
) -> None:
    event = EVENT | {"source": "web", "kind": "feedback", "revision": 2**64, "schema_version": 9, "received_at": "x"}

    answer = await client.post("/api/v1/events", json=event | {"metadata": {"source": "mine"}})

    assert answer.status_code == 201
    document = publisher.documents[0]
    assert (document["source"], document["kind"], document["schema_version"]) == ("api_v1", "log", 1)
    assert document["metadata"]["source"] == "mine", "what the client put there itself stays"
    assert (document["metadata"]["kind"], document["metadata"]["schema_version"]) == ("feedback", 9)
    RawLog.model_validate(document)


async def test_inputs_and_outputs_may_be_objects_and_lists(
    client: httpx.AsyncClient, publisher: RecordingPublisher
) -> None:
    messages = [{"role": "user", "content": "hi"}]
    event = {"input": {"model": "m", "messages": messages}, "output": messages}

    answer = await client.post("/api/v1/events/batch", json={"events": [event]})

    assert answer.json()["accepted"] == 1
    assert (publisher.documents[0]["input"], publisher.documents[0]["output"]) == (event["input"], messages)


async def test_an_idempotency_key_gives_the_same_ids_to_the_same_request(
    client: httpx.AsyncClient, publisher: RecordingPublisher
) -> None:
    batch = {"events": [EVENT, EVENT, EVENT | {"task_id": "mine"}]}

    async def ids(key: str) -> list[str]:
        answer = await client.post("/api/v1/events/batch", json=batch, headers={"Idempotency-Key": key})
        return [result["event_id"] for result in answer.json()["results"]]

    first, again, other = await ids("k1"), await ids("k1"), await ids("k2")

    assert first == again
    assert first[0] != first[1], "two equal events of one request are two"
    assert first[2] == "mine"
    assert not set(first[:2]) & set(other)
    revisions = [document["revision"] for document in publisher.documents]
    assert revisions == sorted(set(revisions)), "the later write wins"


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "k"}])
async def test_made_ids_of_one_millisecond_sort_as_the_events_came(
    client: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    answer = await client.post("/api/v1/events/batch", json={"events": [EVENT] * 50}, headers=headers)

    ids = [result["event_id"] for result in answer.json()["results"]]
    assert ids == sorted(set(ids))


async def test_without_an_idempotency_key_the_same_request_is_another_event(client: httpx.AsyncClient) -> None:
    first, second = [(await client.post("/api/v1/events", json=EVENT)).json()["event_id"] for _ in range(2)]

    assert first != second


async def test_an_idempotency_key_counts_in_its_project_only(client: httpx.AsyncClient) -> None:
    headers = {"Idempotency-Key": "k", "Authorization": "Bearer ph_admin_secret_of_the_tests"}
    ids = [
        (await client.post("/api/v1/events", json=EVENT | {"project_id": project}, headers=headers)).json()["event_id"]
        for project in ("one", "two")
    ]

    assert ids[0] != ids[1]


async def test_of_a_key_that_comes_twice_the_last_counts(
    client: httpx.AsyncClient, publisher: RecordingPublisher
) -> None:
    answer = await client.post("/api/v1/events", content=b'{"input": "a", "output": "b", "input": "c"}')

    assert answer.status_code == 201
    assert publisher.documents[0]["input"] == "c"


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (rb'"\ud83d"', "\ufffd"),
        (rb'"\ude00 and \ud83d\ude00"', "\ufffd and \U0001f600"),
        (rb'"\\ud83d"', r"\ud83d"),
        (b'"\xed\xa0\xbd"', "\ufffd"),
        (rb'"a\u0000b"', "a\0b"),
    ],
)
async def test_half_characters_are_replaced_and_all_other_text_is_kept(
    sent: bytes, kept: str, client: httpx.AsyncClient, publisher: RecordingPublisher
) -> None:
    answer = await client.post("/api/v1/events", content=b'{"output": "x", "input": %s}' % sent)

    assert answer.status_code == 201, answer.text
    assert publisher.documents[0]["input"] == kept


async def test_a_byte_order_mark_is_no_harm(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/v1/events", content=b'\xef\xbb\xbf{"input": "a", "output": "b"}')

    assert answer.status_code == 201
