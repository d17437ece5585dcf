"""Rows of tasks and feedback: ids, times, revisions, flags and metadata."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from phospho_schemas.ids import broker_revision, message_key, newest_revision, session_id_of_task
from phospho_schemas.times import time_text
from phospho_schemas.topics import FEEDBACK
from phospho_workers.extraction.stage import Extraction
from workers.extraction.raw_logs import (
    ARRIVED_MS,
    PROJECT,
    extract,
    feedback,
    feedback_of,
    log,
    reason,
    record,
    rows,
    task_of,
)

ARRIVED = "2026-01-01T10:00:05.000Z"


def id_at(value: dict[str, Any], offset: int, **position: Any) -> str:
    [task] = rows(Extraction()([record(value, offset, **position)]))
    return str(task["task_id"])


def test_task_keeps_the_ids_of_the_client() -> None:
    assert task_of(task_id="mine")["task_id"] == "mine"
    assert task_of(event_id="of the API")["task_id"] == "of the API"
    assert task_of(task_id="first", event_id="second")["task_id"] == "first"


def test_task_id_derives_from_position_and_content() -> None:
    first_id = id_at(log(), 5)
    assert id_at(log(), 5) == first_id
    others = [id_at(log(), 6), id_at(log(), 5, partition=1), id_at(log(input="other"), 5)]
    others.append(id_at(log(project_id="another"), 5))
    assert len({first_id, *others}) == 5


def test_derived_task_id_is_a_uuid_sorted_by_arrival() -> None:
    ids = [id_at(log(), 5, timestamp_ms=ARRIVED_MS + step) for step in range(0, 5000, 1000)]
    assert ids == sorted(ids)
    assert all(uuid.UUID(task_id).version == 7 for task_id in ids)


def test_task_without_a_session_gets_its_own() -> None:
    assert task_of(task_id="t")["session_id"] == session_id_of_task("t")


@pytest.mark.parametrize(("given", "kept"), [(42, "42"), ("  ", "  "), (None, ""), (-1, "-1"), ("ü" * 512, "ü" * 512)])
def test_id_may_be_a_number(given: Any, kept: str) -> None:
    assert task_of(user_id=given)["user_id"] == kept


@pytest.mark.parametrize("field", ["task_id", "session_id", "user_id", "version_id"])
@pytest.mark.parametrize("value", [True, 1.5, ["a"], {"a": 1}, "x" * 513])
def test_invalid_id_is_rejected(field: str, value: Any) -> None:
    assert reason(log(**{field: value})) == "invalid_field"


def test_user_and_version_are_read_from_metadata_too() -> None:
    task = task_of(metadata={"user_id": "u", "version_id": "v"})
    assert (task["user_id"], task["version_id"]) == ("u", "v")
    assert task_of(user_id="own", metadata={"user_id": "u"})["user_id"] == "own"


@pytest.mark.parametrize("value", [7, None, {"id": 1}, "x" * 513])
def test_invalid_id_in_metadata_stays_only_there(value: Any) -> None:
    task = task_of(metadata={"user_id": value})
    assert (task["user_id"], task["metadata"]["user_id"]) == ("", value)


@pytest.mark.parametrize(
    ("fields", "created_at"),
    [
        ({}, ARRIVED),
        ({"client_created_at": 1767261600.25}, "2026-01-01T10:00:00.250Z"),
        ({"client_created_at": 946684800}, "2000-01-01T00:00:00.000Z"),
        ({"created_at": "2026-01-01T11:00:00+01:00"}, "2026-01-01T10:00:00.000Z"),
        ({"created_at": "2026-01-01T10:00:00"}, "2026-01-01T10:00:00.000Z"),
        ({"created_at": "2026-01-01"}, "2026-01-01T00:00:00.000Z"),
        ({"created_at": "2026-01-02T10:00:05Z"}, "2026-01-02T10:00:05.000Z"),
        ({"created_at": 1767261600, "client_created_at": 5}, "2026-01-01T10:00:00.000Z"),
        ({"client_created_at": 1767261600000}, "2026-01-01T10:00:00.000Z"),
        ({"created_at": "1767261600000000"}, "2026-01-01T10:00:00.000Z"),
    ],
)
def test_created_at_is_the_time_of_the_client(fields: dict[str, Any], created_at: str) -> None:
    task = task_of(**fields)
    assert task["created_at"] == created_at
    assert task["metadata"] == {}


@pytest.mark.parametrize(
    "absurd",
    [
        0.5, -1, 1e308, "1999-12-31T23:59:59Z", "2026-01-02T10:00:06Z", "9999-12-31T23:59:59Z",
        "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "yesterday", {"seconds": 1}, [1], True,
    ],
)  # fmt: skip
@pytest.mark.parametrize("field", ["created_at", "client_created_at"])
def test_implausible_created_at_is_replaced_by_the_arrival(field: str, absurd: Any) -> None:
    task = task_of(**{field: absurd})
    assert task["created_at"] == ARRIVED
    assert task["metadata"] == {"client_created_at": absurd}


@pytest.mark.parametrize(
    ("received_at", "expected"),
    [
        ("2026-01-01T09:59:00.123Z", "2026-01-01T09:59:00.123Z"),
        ("9999-12-31T23:59:59Z", ARRIVED),
        ("1970-01-01T00:00:00Z", ARRIVED),
        ("soon", ARRIVED),
        (12, ARRIVED),
    ],
)
def test_received_at_is_the_gateways_where_plausible(received_at: Any, expected: str) -> None:
    task = task_of(received_at=received_at)
    assert (task["received_at"], task["created_at"]) == (expected, expected)


@pytest.mark.parametrize("timestamp_ms", [-1, 0])
def test_received_at_is_the_gateways_without_a_broker_time(timestamp_ms: int) -> None:
    [task] = rows(Extraction()([record(log(received_at="2026-01-01T09:59:00.123Z"), 0, timestamp_ms)]))
    assert task["received_at"] == "2026-01-01T09:59:00.123Z"


def test_revision_is_the_gateways() -> None:
    gateways = broker_revision(ARRIVED_MS - 700, 3)
    assert task_of(revision=gateways)["revision"] == gateways
    assert feedback_of(score=1, revision=gateways)["revision"] == gateways


def test_revision_far_after_the_arrival_is_replaced() -> None:
    """It would win over every later write of its task, and advance the clocks that read it."""
    newest = newest_revision(ARRIVED_MS)
    assert task_of(revision=newest)["revision"] == newest
    for revision in (newest + 1, 2**64 - 1):
        assert task_of(revision=revision)["revision"] == broker_revision(ARRIVED_MS, 0)
        assert feedback_of(score=1, revision=revision)["revision"] == broker_revision(ARRIVED_MS, 0)


def test_revision_is_the_gateways_after_its_clock_stepped_back() -> None:
    """The broker's clock stepped back by 30 days with it; the gateway counts on from its last revision."""
    ahead_ms = ARRIVED_MS + 30 * 86_400_000
    task = task_of(revision=broker_revision(ahead_ms, 3), received_at=time_text(ahead_ms))
    assert task["revision"] == broker_revision(ahead_ms, 3)
    assert task["received_at"] == time_text(ARRIVED_MS)


def test_revision_is_kept_without_a_time_of_arrival() -> None:
    gateways = broker_revision(ARRIVED_MS, 3)
    [task] = rows(Extraction()([record(log(revision=gateways), 0, timestamp_ms=-1)]))
    assert task["revision"] == gateways


@pytest.mark.parametrize("revision", [None, 0, -5, True, "9", 1.5, 2**64])
def test_missing_revision_derives_from_the_position(revision: Any) -> None:
    line = log(revision=None) if revision == 2**64 else log(revision=revision)
    [task] = rows(Extraction()([record(line, 9)]))
    assert task["revision"] == broker_revision(ARRIVED_MS, 9)


def test_derived_revision_grows_with_the_offset() -> None:
    output = Extraction()([record(log(task_id="t"), offset, ARRIVED_MS + offset // 7) for offset in range(50)])
    revisions = [task["revision"] for task in rows(output)]
    assert revisions == sorted(set(revisions))


def test_unknown_key_becomes_metadata_and_replaces_none() -> None:
    task = task_of(metadata={"plan": "pro", "n": 1}, plan="free", page="/pricing", nothing=None, nested={"a": [1]})
    assert task["metadata"] == {"plan": "pro", "n": 1, "page": "/pricing", "nested": {"a": [1]}}


@pytest.mark.parametrize(
    ("given", "kept"), [("text", {"metadata": "text"}), ([1], {"metadata": [1]}), (None, {}), ({}, {})]
)
def test_metadata_without_an_object_is_kept_under_its_name(given: Any, kept: dict[str, Any]) -> None:
    assert task_of(metadata=given)["metadata"] == kept


@pytest.mark.parametrize("flag", ["success", "failure", "", None])
def test_flag_is_kept(flag: str | None) -> None:
    assert task_of(flag=flag)["flag"] == (flag or "")


@pytest.mark.parametrize("flag", ["good", "Success", 1, True, ["success"], {"flag": "success"}])
def test_unknown_flag_is_rejected(flag: Any) -> None:
    assert reason(log(flag=flag)) == "invalid_field"


def test_log_without_input_is_rejected() -> None:
    assert reason({"project_id": PROJECT, "output": "Hi"}) == "invalid_field"
    assert reason(log(input=None)) == "invalid_field"
    assert task_of(input="")["input"] == ""


@pytest.mark.parametrize("count", [-1, 2**32, 1e300, "seven", True, None, [1]])
def test_invalid_token_count_is_none(count: Any) -> None:
    used = {"usage": {"prompt_tokens": count, "completion_tokens": 3}}
    task = task_of(output=used)
    assert (task["tokens_in"], task["tokens_out"]) == (None, 3)
    assert task_of(metadata={"tokens_in": count})["tokens_in"] is None


@pytest.mark.parametrize("latency", [-0.1, 1e15, "12", True, None])
def test_invalid_latency_is_none(latency: Any) -> None:
    assert task_of(metadata={"latency_ms": latency})["latency_ms"] is None


def test_plain_text_is_not_stored_as_raw_text_too() -> None:
    task = task_of(input="a", output="b", raw_input="a", raw_output=None)
    assert (task["raw_input"], task["raw_output"]) == ("", "")


@pytest.mark.parametrize(
    ("fields", "flag"),
    [
        ({"score": 1}, "success"),
        ({"score": 0}, "failure"),
        ({"score": 1.0}, "success"),
        ({"flag": "failure"}, "failure"),
        ({"flag": "failure", "score": 1}, "failure"),
    ],
)
def test_feedback_has_a_flag_or_a_score(fields: dict[str, Any], flag: str) -> None:
    row = feedback_of(**fields)
    assert (row["flag"], row["score"]) == (flag, int(flag == "success"))


@pytest.mark.parametrize("score", [None, 2, -1, 0.5, "1", True, [1]])
def test_feedback_without_flag_or_score_is_rejected(score: Any) -> None:
    assert reason(feedback(score=score)) == "invalid_field"


def test_feedback_without_a_task_is_rejected() -> None:
    assert reason(feedback(task_id=None, score=1)) == "invalid_field"


def test_same_feedback_posted_twice_has_one_id() -> None:
    logs = [feedback(score=1), feedback(flag="success"), feedback(score=0), feedback(score=1, comment="!")]
    logs += [feedback(score=1, source="waiter"), feedback(score=1, task_id="task-2")]
    ids = [row["feedback_id"] for row in rows(extract(logs), FEEDBACK.name)]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 5


def test_feedback_key_is_that_of_a_task_without_a_session() -> None:
    [message] = extract([feedback(score=1)]).messages[FEEDBACK.name]
    assert message.key == message_key(PROJECT, session_id_of_task("task-1"), "task-1")


def test_metadata_stores_sparse_nested_lists_as_text() -> None:
    """ClickHouse reads them in a time exponential in their depth. Full ones, such as coordinates, stay lists."""
    full = [[[[1.5, 2], [3, 4]]]]
    given = {
        "sparse": [[[1, None]]],
        "empty": {"in": [[[1], []]]},
        "full": full,
        "null": [None, 1],
        "two": [[None], []],
    }

    assert task_of(metadata=given, beside=[None, [1]])["metadata"] == {
        "sparse": "[[[1,null]]]",
        "empty": {"in": "[[[1],[]]]"},
        "full": full,
        "null": [None, 1],
        "two": [[None], []],
        "beside": [[], [1]],
    }


@pytest.mark.parametrize("output", [{}, {"output": None}])
def test_output_without_text_is_read_from_the_raw_output(output: dict[str, Any]) -> None:
    answer = {"choices": [{"message": {"role": "assistant", "content": "Hi"}}], "model": "m", "usage": {}}

    assert task_of(raw_output=answer, **output)["output"] == "Hi"
    assert task_of(raw_output="Hi", **output)["output"] == "Hi"
    assert task_of(raw_output=answer, output="Hello")["output"] == "Hello"


def test_raw_fields_keep_every_digit_of_integers() -> None:
    line = (
        b'{"project_id": "shop", "input": {"id": 123456789012345678901234}, "output": "x", "raw_output": [1e300, %d]}'
    )

    [task] = rows(Extraction()([record(line % 2**70)]))

    assert (task["raw_input"], task["raw_output"]) == ('{"id":123456789012345678901234}', f"[1e+300,{2**70}]")
