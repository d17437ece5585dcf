"""Feedback: the three forms it comes in, and that the same feedback is one fact."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from gateway.conftest import ClientMaker
from gateway.recording import RecordingPublisher
from phospho_gateway.settings import GatewaySettings
from phospho_schemas.ids import message_key
from phospho_schemas.messages import RawFeedback

PATH = "/api/v1/events/e1/feedback"


async def test_feedback_is_answered_with_its_id_and_published_under_its_task(
    client: httpx.AsyncClient, publisher: RecordingPublisher
) -> None:
    answer = await client.post(PATH, json={"score": 1, "comment": "Great response!"})

    assert answer.status_code == 201
    assert set(answer.json()) == {"event_id", "feedback_id", "created_at", "receipt_id"}
    assert answer.json()["event_id"] == "e1"
    message = RawFeedback.model_validate(publisher.documents[0])
    assert (message.kind, message.project_id, message.task_id) == ("feedback", "shop", "e1")
    assert (message.score, message.flag, message.comment, message.source) == (1, "success", "Great response!", "user")
    assert message.feedback_id == answer.json()["feedback_id"]
    assert publisher.messages[0].key == message_key("shop", "", "e1")


@pytest.mark.parametrize(
    ("body", "flag"),
    [
        ({"score": 0}, "failure"),
        ({"score": 1}, "success"),
        ({"flag": "failure"}, "failure"),
        ({"flag": "success", "score": None}, "success"),
        ({"flag": "success", "score": 1}, "success"),
    ],
)
async def test_a_score_and_a_flag_say_the_same(
    body: dict[str, Any], flag: str, client: httpx.AsyncClient, publisher: RecordingPublisher
) -> None:
    assert (await client.post(PATH, json=body)).status_code == 201
    assert publisher.documents[0]["flag"] == flag


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "missing_score"),
        ({"comment": "nice"}, "missing_score"),
        ({"score": 2}, "invalid_score"),
        ({"score": -1}, "invalid_score"),
        ({"score": True}, "invalid_score"),
        ({"score": 0.5}, "invalid_score"),
        ({"score": "1"}, "invalid_score"),
        ({"score": [1]}, "invalid_score"),
        ({"flag": "great"}, "invalid_flag"),
        ({"flag": {}}, "invalid_flag"),
        ({"flag": "success", "score": 0}, "invalid_score"),
        ({"score": 1, "comment": 7}, "invalid_type"),
        ({"score": 1, "comment": "x" * 100_001}, "comment_too_long"),
        ({"score": 1, "source": "x" * 513}, "id_too_long"),
        ({"score": 1, "feedback_id": []}, "invalid_type"),
        ({"score": 1, "client_created_at": "now"}, "invalid_type"),
    ],
    ids=lambda value: repr(value)[:40],
)
async def test_bad_feedback_is_refused(
    body: dict[str, Any], code: str, client: httpx.AsyncClient, publisher: RecordingPublisher
) -> None:
    answer = await client.post(PATH, json=body)

    assert (answer.status_code, answer.json()["error"]["code"]) == (422, code)
    assert publisher.messages == []


async def test_the_same_feedback_posted_again_is_one_fact(client: httpx.AsyncClient) -> None:
    async def feedback_id(body: dict[str, Any], path: str = PATH, **headers: str) -> str:
        answer = await client.post(path, json=body, headers=headers)
        return str(answer.json()["feedback_id"])

    first = await feedback_id({"score": 1, "comment": "a"})

    assert await feedback_id({"flag": "success", "notes": "a"}) == first
    assert await feedback_id({"score": 0, "comment": "a"}) != first
    assert await feedback_id({"score": 1, "comment": "b"}) != first
    assert await feedback_id({"score": 1, "comment": "a", "source": "owner"}) != first
    assert await feedback_id({"score": 1, "comment": "a"}, "/api/v1/events/e2/feedback") != first
    assert await feedback_id({"score": 1, "feedback_id": "mine"}) == "mine"
    with_key = [await feedback_id({"score": score}, **{"Idempotency-Key": "k"}) for score in (1, 0)]
    assert with_key[0] == with_key[1] != first


async def test_ids_with_a_slash_or_a_space_are_taken(client: httpx.AsyncClient, publisher: RecordingPublisher) -> None:
    answer = await client.post("/api/v1/events/a%2Fb%20c/feedback", json={"score": 1})

    assert answer.status_code == 201
    assert publisher.documents[0]["task_id"] == "a/b c"


async def test_an_id_that_is_too_long_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post(f"/api/v1/events/{'e' * 513}/feedback", json={"score": 1})

    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "id_too_long")


@pytest.mark.parametrize(("path", "name"), [("human-eval", "human_eval"), ("flag", "flag")])
async def test_upstreams_evaluation_of_a_task_is_feedback(
    path: str, name: str, client: httpx.AsyncClient, publisher: RecordingPublisher
) -> None:
    body = {name: "failure", "project_id": "shop", "source": "owner", "notes": "wrong"}

    answer = await client.post(f"/v2/tasks/t1/{path}", json=body)

    assert answer.status_code == 200
    assert answer.json()["id"] == "t1"
    message = RawFeedback.model_validate(publisher.documents[0])
    assert (message.task_id, message.flag, message.comment, message.source) == ("t1", "failure", "wrong", "owner")


async def test_a_flag_without_a_key_is_refused_unless_a_setting_allows_it(
    make_client: ClientMaker, publisher: RecordingPublisher
) -> None:
    body = {"flag": "success", "notes": "👍", "source": "user", "project_id": "shop"}

    refused = await make_client(secret=None).post("/v2/tasks/t1/flag", json=body)
    open_client = make_client(secret=None, settings=GatewaySettings(allow_flag_without_key=True))
    taken = await open_client.post("/v2/tasks/t1/flag", json=body)
    nameless = await open_client.post("/v2/tasks/t1/flag", json={"flag": "success"})
    evaluation = await open_client.post("/v2/tasks/t1/human-eval", json={"human_eval": "success"})

    assert [answer.status_code for answer in (refused, taken, nameless, evaluation)] == [401, 200, 422, 401]
    [message] = map(RawFeedback.model_validate, publisher.documents)
    assert (message.task_id, message.flag, message.comment, message.source) == ("t1", "success", "👍", "user")
