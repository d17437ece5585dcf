"""No body and no header makes a 5xx, and what is accepted is a valid message."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from gateway.conftest import AppMaker
from gateway.recording import RecordingPublisher
from phospho_schemas.messages import RawFeedback, RawLog
from phospho_store.registry.registry import NewKey

PATHS = [
    "/api/v1/events",
    "/api/v1/events/batch",
    "/v2/log/shop",
    "/api/v1/events/e/feedback",
    "/v2/tasks/t/flag",
    "/v2/tasks/t/human-eval",
]
NAMES = [
    "input", "output", "session_id", "task_id", "event_id", "user_id", "version_id", "client_created_at", "created_at",
    "raw_input", "raw_output", "raw_input_type_name", "flag", "system_prompt", "metadata", "project_id", "source",
    "kind", "schema_version", "revision", "received_at", "score", "comment", "notes", "feedback_id", "human_eval",
]  # fmt: skip
Exchange = Callable[[str, bytes, Mapping[str, str | bytes]], tuple[httpx.Response, list[dict[str, Any]]]]
MESSAGE: TypeAdapter[RawLog | RawFeedback] = TypeAdapter(RawLog | RawFeedback)

# Halves of surrogate pairs included.
texts = st.text(st.characters(exclude_categories=()))
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
    | st.sampled_from(["success", "failure", "shop", "2026-03-03T10:30:00Z", 0, 1])
)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3))
events = st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=5), values, max_size=8)
likely = events.map(lambda event: {"input": "a", "output": "b", "score": 1} | event)
batches = st.lists(events | likely | values, max_size=4)
documents = st.one_of(
    values,
    events,
    likely,
    st.builds(lambda each: {"events": each, "batched_log_events": each}, batches),
)


@pytest.fixture
def exchange(make_app: AppMaker, api_key: NewKey, publisher: RecordingPublisher) -> Iterator[Exchange]:
    """Return a function that posts a body and gives the answer and what was published of it."""
    headers = {"Authorization": f"Bearer {api_key.secret}"}
    client = httpx.AsyncClient(transport=httpx.ASGITransport(make_app()), base_url="http://gateway", headers=headers)
    with asyncio.Runner() as runner:

        def post(path: str, body: bytes, headers: Mapping[str, str | bytes]) -> Any:
            publisher.messages.clear()
            names = {
                name.encode(): value if isinstance(value, bytes) else value.encode() for name, value in headers.items()
            }
            answer = runner.run(client.post(path, content=body, headers=names))
            return answer, publisher.documents

        yield post
        runner.run(client.aclose())


def _dumped(document: Any) -> bytes:
    """Return JSON, with halves of characters as Python's own encoder writes them."""
    return json.dumps(document).encode()


bodies = st.binary() | documents.map(_dumped)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(path=st.sampled_from(PATHS), body=bodies, encoding=st.sampled_from(["", "gzip", "deflate", "zstd", "br"]))
def test_no_body_is_a_server_error(path: str, body: bytes, encoding: str, exchange: Exchange) -> None:
    answer, published = exchange(path, body, {"Content-Encoding": encoding})

    assert answer.status_code < 500, answer.text
    assert answer.headers["Content-Type"] == "application/json"
    orjson.loads(answer.content)
    for message in published:
        MESSAGE.validate_python(message)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(event=likely)
def test_what_is_accepted_is_a_valid_raw_log(event: dict[str, Any], exchange: Exchange) -> None:
    answer, published = exchange("/api/v1/events/batch", _dumped({"events": [event]}), {})

    assert answer.status_code == 200
    assert len(published) == answer.json()["accepted"]
    for message in published:
        RawLog.model_validate(message)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(
    name=st.sampled_from(["Authorization", "X-Phospho-Project", "Idempotency-Key", "X-Request-ID", "Content-Length"]),
    value=st.binary(max_size=300).filter(lambda value: not set(value) & {0, 10, 13}),
)
def test_no_header_is_a_server_error(name: str, value: bytes, exchange: Exchange) -> None:
    answer, _ = exchange("/api/v1/events", b'{"input": "a", "output": "b"}', {name: value})

    assert answer.status_code < 500, answer.text
