"""
The requests of phosphojs 1.3, byte for byte as its wire format has it: each body, and what is read back of it.

npm holds only an older release of it, so that the requests stand here themselves: camelCase options have become
snake_case, `client_created_at` is in whole seconds, `session_id` may be null, and other keys lie at the top level.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from fixtures.shapes import OneProcess

from .conftest import PROJECT_ID

Json = dict[str, Any]

QUERY = {
    "model": "gpt-3.5-turbo",
    "temperature": 0,
    "messages": [
        {"role": "system", "content": "You are an helpful frog."},
        {"role": "user", "content": "What's the capital of Fashion?"},
    ],
}
RESULT = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "model": "gpt-3.5-turbo-0125",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Paris, ribbit"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 30, "completion_tokens": 4, "total_tokens": 34},
}
CHUNKS = [
    {"object": "chat.completion.chunk", "choices": [{"delta": {"content": text}}]} for text in ("Paris", ", ", "ribbit")
]
TEXT: Json = {
    "client_created_at": 1_772_532_000,
    "project_id": PROJECT_ID,
    "session_id": None,
    "task_id": "js-text",
    "input": "log this",
    "raw_input": "log this",
    "raw_input_type_name": "string",
    "output": "and that",
    "raw_output": "and that",
    "raw_output_type_name": "string",
    "user_id": "user-1",
    "version_id": "v1",
    "metadata": {"always": "moooore"},
    "log_anything_and_everything": "even this is ok",
}
OBJECTS: Json = {
    "client_created_at": 1_772_532_001,
    "project_id": PROJECT_ID,
    "session_id": "js-session",
    "task_id": "js-objects",
    "input": "What's the capital of Fashion?",
    "raw_input": QUERY,
    "raw_input_type_name": "object",
    "output": "Paris, ribbit",
    "raw_output": RESULT,
    "raw_output_type_name": "object",
    "flag": None,
}
# A stream is one event, sent when it ends; a wrapped function is logged with its arguments as input.
STREAM: Json = OBJECTS | {"task_id": "js-stream", "raw_output": CHUNKS, "last_update": 1_772_532_003}
WRAPPED: Json = TEXT | {"task_id": "js-wrap", "session_id": "js-session", "raw_input": {"0": "log this"}}


@pytest.fixture(scope="module")
def js(legacy: OneProcess) -> Iterator[httpx.Client]:
    """A client whose base URL ends in /v2, as that of phosphojs does."""
    headers = {"Authorization": f"Bearer {legacy.api_key}"}
    with httpx.Client(base_url=f"{legacy.base_url}/v2", headers=headers, timeout=30) as client:
        yield client


def _log(js: httpx.Client, *events: Json) -> Json:
    answer = js.post(f"/log/{PROJECT_ID}", json={"batched_log_events": list(events)})
    assert answer.status_code == 200, answer.text
    document: Json = answer.json()
    return document


def _read(js: httpx.Client, task_id: str) -> Json:
    answer = js.get(f"/tasks/{task_id}")
    assert answer.status_code == 200, answer.text
    document: Json = answer.json()
    return document


def test_a_log_of_text_is_answered_with_itself_and_read_back(js: httpx.Client) -> None:
    logged = _log(js, TEXT)["logged_events"][0]
    read = _read(js, "js-text")

    assert logged == TEXT | {"session_id": read["session_id"]}
    assert (read["input"], read["output"], read["created_at"]) == ("log this", "and that", 1_772_532_000)
    assert read["metadata"] == {
        "always": "moooore",
        "log_anything_and_everything": "even this is ok",
        "user_id": "user-1",
        "version_id": "v1",
    }


def test_queries_and_results_are_read_back_as_objects(js: httpx.Client) -> None:
    _log(js, OBJECTS)
    read = _read(js, "js-objects")

    assert (read["additional_input"], read["additional_output"]) == (QUERY, RESULT)
    assert read["metadata"]["model"] == "gpt-3.5-turbo-0125"
    assert read["metadata"]["system_prompt"] == "You are an helpful frog."
    assert read["session_id"] == "js-session"


def test_a_stream_is_one_task_and_sent_again_it_is_the_same(js: httpx.Client, legacy: OneProcess) -> None:
    for _ in range(2):
        _log(js, STREAM)

    assert _read(js, "js-stream")["additional_output"] == {"raw_output": CHUNKS}
    assert legacy.number("SELECT count() FROM tasks WHERE task_id = 'js-stream'") == 1


def test_a_wrapped_function_is_read_back_with_its_arguments(js: httpx.Client) -> None:
    _log(js, WRAPPED)

    assert _read(js, "js-wrap")["additional_input"] == {"0": "log this"}


def test_feedback_without_a_key_is_refused(js: httpx.Client, legacy: OneProcess) -> None:
    """A setting allows it: tests/gateway/intake/test_feedback.py."""
    body = {"flag": "success", "project_id": PROJECT_ID}
    _log(js, TEXT)

    assert httpx.post(f"{legacy.base_url}/v2/tasks/js-text/flag", json=body).status_code == 401
    assert _read(js, "js-text")["flag"] is None


def test_feedback_with_a_key_is_taken_anywhere(js: httpx.Client) -> None:
    _log(js, OBJECTS)
    body = {"flag": "failure", "notes": "👎", "source": "user", "project_id": PROJECT_ID}
    answer = js.post("/tasks/js-objects/flag", json=body)

    assert answer.status_code == 200
    read = _read(js, "js-objects")
    assert (read["flag"], read["notes"]) == ("failure", "👎")
