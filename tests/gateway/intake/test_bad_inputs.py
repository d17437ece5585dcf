"""The table of bad inputs: each gets a 4xx that says what is wrong, and none reaches the topic."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from gateway.recording import RecordingPublisher
from phospho_schemas.messages import MAX_NESTING_LEVELS

DEEP = b"[" * 50_000
GOOD = {"input": "a", "output": "b"}


def deep(levels: int) -> Any:
    """Return a list of lists."""
    value: Any = []
    for _ in range(levels):
        value = [value]
    return value


async def assert_refused(answer: httpx.Response, status: int, code: str, publisher: RecordingPublisher) -> None:
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error["code"] == code
    assert error["message"]
    assert error["hint"]
    assert publisher.messages == []


@pytest.mark.parametrize(
    "path", ["/api/v1/events", "/api/v1/events/batch", "/v2/log/shop", "/api/v1/events/e/feedback"]
)
@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "malformed_json"),
        (b"{", 400, "malformed_json"),
        (b"not json", 400, "malformed_json"),
        (b'{"input": NaN}', 400, "malformed_json"),
        (b'{"input": "a", "x": Infinity}', 400, "malformed_json"),
        (b'{"x": 1e400}', 400, "malformed_json"),
        (b'{"x": 1%s}' % (b"0" * 400), 400, "malformed_json"),
        (b'{"x": 1%s, "y": "\\ud800"}' % (b"0" * 5000), 400, "malformed_json"),
        (rb'{"x": NaN, "y": "\ud800"}', 400, "malformed_json"),
        (DEEP, 400, "malformed_json"),
        (b'{"events": %s' % DEEP, 400, "malformed_json"),
        (rb'"\ud800' + DEEP, 400, "malformed_json"),
        (b'[%s, "\\ud800"]' % (DEEP + b"]" * 50_000), 400, "malformed_json"),
        (b'{"a": "\xff"}', 400, "malformed_json"),
        ('{"input": "a"}'.encode("utf-16"), 400, "malformed_json"),
        (b"\0", 400, "malformed_json"),
        (b"null", 422, "invalid_body"),
        (b"[]", 422, "invalid_body"),
        (b'"text"', 422, "invalid_body"),
        (b"12", 422, "invalid_body"),
        (b"true", 422, "invalid_body"),
    ],
    ids=lambda value: repr(value)[:30],
)
async def test_a_body_that_is_no_json_object_is_refused(
    path: str, body: bytes, status: int, code: str, client: httpx.AsyncClient, publisher: RecordingPublisher
) -> None:
    await assert_refused(await client.post(path, content=body), status, code, publisher)


BAD_FIELDS: list[tuple[dict[str, Any], str]] = [
    ({"input": None}, "missing_input"),
    ({"input": 7}, "invalid_type"),
    ({"input": True}, "invalid_type"),
    ({"output": 7}, "invalid_type"),
    ({"session_id": []}, "invalid_type"),
    ({"session_id": True}, "invalid_type"),
    ({"session_id": 1.5}, "invalid_type"),
    ({"session_id": "s" * 513}, "id_too_long"),
    ({"session_id": "a\0b"}, "invalid_id"),
    ({"task_id": {}}, "invalid_type"),
    ({"task_id": "t" * 513}, "id_too_long"),
    ({"event_id": "t" * 513}, "id_too_long"),
    ({"user_id": ["u"]}, "invalid_type"),
    ({"user_id": "u" * 513}, "id_too_long"),
    ({"version_id": {}}, "invalid_type"),
    ({"system_prompt": 5}, "invalid_type"),
    ({"raw_input_type_name": 5}, "invalid_type"),
    ({"flag": "great"}, "invalid_flag"),
    ({"flag": 1}, "invalid_flag"),
    ({"flag": []}, "invalid_flag"),
    ({"metadata": []}, "invalid_type"),
    ({"metadata": "model"}, "invalid_type"),
    ({"metadata": 1, "source": "x"}, "invalid_type"),
    ({"client_created_at": "now"}, "invalid_type"),
    ({"client_created_at": True}, "invalid_type"),
    ({"created_at": "yesterday"}, "invalid_time"),
    ({"created_at": "0001-01-01T00:00:00+14:00"}, "invalid_time"),
    ({"created_at": 1e300}, "invalid_time"),
    ({"created_at": []}, "invalid_time"),
    ({"input": deep(300)}, "too_deep"),
    ({"input": deep(MAX_NESTING_LEVELS - 1)}, "too_deep"),
    ({"metadata": {"x": deep(MAX_NESTING_LEVELS - 2)}}, "too_deep"),
    ({"metadata": {f"k{number}": number for number in range(1001)}}, "too_many_keys"),
    ({"metadata": {"x": [{f"k{number}": number} for number in range(1000)]}}, "too_many_keys"),
    ({f"k{number}": number for number in range(1001)}, "too_many_keys"),
]


@pytest.mark.parametrize(("field", "code"), BAD_FIELDS, ids=lambda value: repr(value)[:40])
async def test_a_bad_field_is_named_in_the_refusal_of_its_event(
    field: dict[str, Any], code: str, client: httpx.AsyncClient, publisher: RecordingPublisher
) -> None:
    event = GOOD | field

    await assert_refused(await client.post("/api/v1/events", json=event), 422, code, publisher)
    batch = (await client.post("/api/v1/events/batch", json={"events": [event]})).json()

    assert batch["results"][0]["error"]["code"] == code
    assert publisher.messages == []


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e400", "1" + "0" * 400])
@pytest.mark.parametrize(("path", "name"), [("/api/v1/events/batch", "events"), ("/v2/log/shop", "batched_log_events")])
async def test_number_that_json_cannot_hold_costs_its_own_event(
    path: str, name: str, number: str, client: httpx.AsyncClient, publisher: RecordingPublisher
) -> None:
    good = json.dumps(GOOD | {"metadata": {"cut": "\ud83d"}})
    bad = f'{{"input": "a", "metadata": {{"score": [{number}]}}}}'
    body = f'{{"{name}": [{good}, {bad}, {{"input": {number}}}, {number}, {good}]}}'

    answer = await client.post(path, content=body)

    assert answer.status_code == 200, answer.text
    assert len(publisher.documents) == 2
    assert [document["metadata"] for document in publisher.documents] == [{"cut": "\ufffd"}] * 2
    if name == "events":
        [_, in_metadata, as_input, as_event, _] = answer.json()["results"]
        codes = [result["error"]["code"] for result in (in_metadata, as_input, as_event)]
        assert codes == ["invalid_number", "invalid_type", "invalid_type"]


async def test_integers_keep_their_digits(client: httpx.AsyncClient, publisher: RecordingPublisher) -> None:
    for number in (2**53 + 1, 2**64 - 1, 2**64, -(2**63) - 1, 10**30):
        await client.post("/api/v1/events", json=GOOD | {"metadata": {"n": [number]}})
        assert b'"n":[%d]' % number in publisher.messages[-1].value


@pytest.mark.parametrize("event", [None, 1, "text", [], [GOOD], True])
async def test_an_event_of_a_batch_that_is_no_object_is_refused_alone(
    event: Any, client: httpx.AsyncClient, publisher: RecordingPublisher
) -> None:
    answer = await client.post("/api/v1/events/batch", json={"events": [event, GOOD]})

    assert [result["status"] for result in answer.json()["results"]] == ["rejected", "accepted"]
    assert len(publisher.messages) == 1


@pytest.mark.parametrize("output", [{}, {"output": None}])
async def test_the_single_event_needs_an_output(
    output: dict[str, Any], client: httpx.AsyncClient, publisher: RecordingPublisher
) -> None:
    answer = await client.post("/api/v1/events", json={"input": "a"} | output)

    await assert_refused(answer, 422, "missing_output", publisher)


@pytest.mark.parametrize("output", [{"output": {"choices": []}}, {"output": ["a"]}, {"raw_output": {"choices": []}}])
async def test_the_single_event_takes_the_output_of_a_batch(
    output: dict[str, Any], client: httpx.AsyncClient, publisher: RecordingPublisher
) -> None:
    answer = await client.post("/api/v1/events", json={"input": "a"} | output)

    assert answer.status_code == 201
    assert len(publisher.messages) == 1


async def test_the_output_of_the_single_event_is_no_number(
    client: httpx.AsyncClient, publisher: RecordingPublisher
) -> None:
    answer = await client.post("/api/v1/events", json={"input": "a", "output": 4})

    await assert_refused(answer, 422, "invalid_type", publisher)


@pytest.mark.parametrize(("path", "name"), [("/api/v1/events/batch", "events"), ("/v2/log/shop", "batched_log_events")])
@pytest.mark.parametrize(
    ("value", "status", "code"),
    [
        (None, 422, "invalid_body"),
        ({}, 422, "invalid_body"),
        ("x", 422, "invalid_body"),
        ([], 422, "empty_batch"),
        ([1] * 10_001, 413, "too_many_events"),
    ],
    ids=lambda value: repr(value)[:20],
)
async def test_a_batch_needs_a_list_of_events_of_a_bounded_length(
    path: str,
    name: str,
    value: Any,
    status: int,
    code: str,
    client: httpx.AsyncClient,
    publisher: RecordingPublisher,
) -> None:
    await assert_refused(await client.post(path, json={name: value}), status, code, publisher)


async def test_an_event_that_grows_beyond_a_message_is_kept_in_parts(
    client: httpx.AsyncClient, publisher: RecordingPublisher
) -> None:
    # 5 bytes as sent, 18 as JSON is written: the body is within its bound, the message is not.
    numbers = b",".join([b"1e15"] * 800_000)
    body = b'{"events": [{"input": "a", "x": [%s]}, {"input": "b"}]}' % numbers

    results = (await client.post("/api/v1/events/batch", content=body)).json()["results"]

    assert [result["status"] for result in results] == ["accepted", "accepted"]
    *parts, large, small = publisher.documents
    assert json.loads("".join(part["text"] for part in parts))["x"] == [1e15] * 800_000
    assert "x" not in large
    assert large["whole_log_id"]
    assert "whole_log_id" not in small


async def test_an_event_as_deep_as_the_message_allows_is_accepted(
    client: httpx.AsyncClient, publisher: RecordingPublisher
) -> None:
    deepest = deep(MAX_NESTING_LEVELS - 2)

    answer = await client.post("/api/v1/events/batch", json={"events": [{"input": deepest}]})

    assert answer.json()["accepted"] == 1
    assert publisher.documents[0]["input"] == deepest


async def test_an_idempotency_key_has_a_bounded_length(
    client: httpx.AsyncClient, publisher: RecordingPublisher
) -> None:
    answer = await client.post("/api/v1/events", json=GOOD, headers={"Idempotency-Key": "k" * 256})

    await assert_refused(answer, 400, "invalid_idempotency_key", publisher)


async def test_a_refusal_never_repeats_what_was_sent(client: httpx.AsyncClient) -> None:
    secret = "the user's own words"
    bodies = [json.dumps({"input": 7, "metadata": secret}), '{"input": "' + secret]

    for body in bodies:
        assert secret not in (await client.post("/api/v1/events", content=body)).text
