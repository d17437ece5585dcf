"""The rows of tasks and feedback: ids, times, revisions, flags, and what becomes metadata."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from phospho_schemas.ids import broker_revision, message_key, newest_revision, session_id_of_task
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


def placed_id(value: dict[str, Any], offset: int, **place: Any) -> str:
    [task] = rows(Extraction()([record(value, offset, **place)]))
    return str(task["task_id"])


def test_an_id_that_the_client_gave_is_kept() -> None:
    assert task_of(task_id="mine")["task_id"] == "mine"
    assert task_of(event_id="of the API")["task_id"] == "of the API"
    assert task_of(task_id="first", event_id="second")["task_id"] == "first"


def test_an_id_that_it_did_not_give_follows_from_place_and_content() -> None:
    known = placed_id(log(), 5)
    assert placed_id(log(), 5) == known
    others = [placed_id(log(), 6), placed_id(log(), 5, partition=1), placed_id(log(input="other"), 5)]
    others.append(placed_id(log(project_id="another"), 5))
    assert len({known, *others}) == 5


def test_a_derived_id_is_a_uuid_that_sorts_by_the_time_of_arrival() -> None:
    ids = [placed_id(log(), 5, timestamp_ms=ARRIVED_MS + step) for step in range(0, 5000, 1000)]
    assert ids == sorted(ids)
    assert all(uuid.UUID(one).version == 7 for one in ids)


def test_a_task_without_a_session_is_a_session_by_itself() -> None:
    assert task_of(task_id="t")["session_id"] == session_id_of_task("t")


@pytest.mark.parametrize(("given", "kept"), [(42, "42"), ("  ", "  "), (None, ""), (-1, "-1"), ("ü" * 512, "ü" * 512)])
def test_an_id_may_be_a_number(given: Any, kept: str) -> None:
    assert task_of(user_id=given)["user_id"] == kept


@pytest.mark.parametrize("field", ["task_id", "session_id", "user_id", "version_id"])
@pytest.mark.parametrize("value", [True, 1.5, ["a"], {"a": 1}, "x" * 513])
def test_what_can_be_no_id_is_a_dead_letter(field: str, value: Any) -> None:
    assert reason(log(**{field: value})) == "invalid_field"


def test_user_and_version_are_found_in_the_metadata_too() -> None:
    task = task_of(metadata={"user_id": "u", "version_id": "v"})
    assert (task["user_id"], task["version_id"]) == ("u", "v")
    assert task_of(user_id="own", metadata={"user_id": "u"})["user_id"] == "own"


@pytest.mark.parametrize("value", [7, None, {"id": 1}, "x" * 513])
def test_what_can_be_no_id_stays_in_the_metadata_alone(value: Any) -> None:
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
    ],
)
def test_the_time_of_a_task_is_the_clients(fields: dict[str, Any], created_at: str) -> None:
    task = task_of(**fields)
    assert task["created_at"] == created_at
    assert task["metadata"] == {}


@pytest.mark.parametrize(
    "absurd",
    [
        0.5, -1, 1e308, 1767261600000, "1999-12-31T23:59:59Z", "2026-01-02T10:00:06Z", "9999-12-31T23:59:59Z",
        "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "yesterday", {"seconds": 1}, [1], True,
    ],
)  # fmt: skip
@pytest.mark.parametrize("field", ["created_at", "client_created_at"])
def test_an_absurd_time_is_that_of_arrival_and_is_kept_beside_it(field: str, absurd: Any) -> None:
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
def test_the_time_of_arrival_is_the_gateways_where_it_can_be_one(received_at: Any, expected: str) -> None:
    task = task_of(received_at=received_at)
    assert (task["received_at"], task["created_at"]) == (expected, expected)


@pytest.mark.parametrize("timestamp_ms", [-1, 0])
def test_without_the_brokers_time_the_gateways_is_taken(timestamp_ms: int) -> None:
    [task] = rows(Extraction()([record(log(received_at="2026-01-01T09:59:00.123Z"), 0, timestamp_ms)]))
    assert task["received_at"] == "2026-01-01T09:59:00.123Z"


def test_a_revision_is_the_gateways() -> None:
    gateways = broker_revision(ARRIVED_MS - 700, 3)
    assert task_of(revision=gateways)["revision"] == gateways
    assert feedback_of(score=1, revision=gateways)["revision"] == gateways


def test_a_revision_of_a_day_after_its_arrival_is_no_gateways() -> None:
    """It would win over every later write of its task, and move the clock that goes on after it."""
    newest = newest_revision(ARRIVED_MS)
    assert task_of(revision=newest)["revision"] == newest
    for revision in (newest + 1, 2**64 - 1):
        assert task_of(revision=revision)["revision"] == broker_revision(ARRIVED_MS, 0)
        assert feedback_of(score=1, revision=revision)["revision"] == broker_revision(ARRIVED_MS, 0)


def test_where_the_time_of_arrival_is_not_known_the_revision_is_taken() -> None:
    gateways = broker_revision(ARRIVED_MS, 3)
    [task] = rows(Extraction()([record(log(revision=gateways), 0, timestamp_ms=-1)]))
    assert task["revision"] == gateways


@pytest.mark.parametrize("revision", [None, 0, -5, True, "9", 1.5, 2**64])
def test_without_one_the_revision_follows_from_the_place(revision: Any) -> None:
    line = log(revision=None) if revision == 2**64 else log(revision=revision)
    [task] = rows(Extraction()([record(line, 9)]))
    assert task["revision"] == broker_revision(ARRIVED_MS, 9)


def test_later_in_a_partition_is_a_greater_revision() -> None:
    output = Extraction()([record(log(task_id="t"), offset, ARRIVED_MS + offset // 7) for offset in range(50)])
    revisions = [task["revision"] for task in rows(output)]
    assert revisions == sorted(set(revisions))


def test_a_key_that_has_no_column_becomes_metadata_and_does_not_replace_any() -> None:
    task = task_of(metadata={"plan": "pro", "n": 1}, plan="free", page="/pricing", nothing=None, nested={"a": [1]})
    assert task["metadata"] == {"plan": "pro", "n": 1, "page": "/pricing", "nested": {"a": [1]}}


@pytest.mark.parametrize(
    ("given", "kept"), [("text", {"metadata": "text"}), ([1], {"metadata": [1]}), (None, {}), ({}, {})]
)
def test_metadata_that_is_no_object_is_kept_under_its_name(given: Any, kept: dict[str, Any]) -> None:
    assert task_of(metadata=given)["metadata"] == kept


@pytest.mark.parametrize("flag", ["success", "failure", "", None])
def test_a_flag_is_kept(flag: str | None) -> None:
    assert task_of(flag=flag)["flag"] == (flag or "")


@pytest.mark.parametrize("flag", ["good", "Success", 1, True, ["success"], {"flag": "success"}])
def test_an_unknown_flag_is_a_dead_letter(flag: Any) -> None:
    assert reason(log(flag=flag)) == "invalid_field"


def test_without_input_there_is_no_task() -> None:
    assert reason({"project_id": PROJECT, "output": "Hi"}) == "invalid_field"
    assert reason(log(input=None)) == "invalid_field"
    assert task_of(input="")["input"] == ""


@pytest.mark.parametrize("count", [-1, 2**32, 1e300, "7", True, None, [1]])
def test_a_count_that_no_column_holds_is_none(count: Any) -> None:
    used = {"usage": {"prompt_tokens": count, "completion_tokens": 3}}
    task = task_of(output=used)
    assert (task["tokens_in"], task["tokens_out"]) == (None, 3)
    assert task_of(metadata={"tokens_in": count})["tokens_in"] is None


@pytest.mark.parametrize("latency", [-0.1, 1e15, "12", True, None])
def test_a_latency_that_is_none_is_none(latency: Any) -> None:
    assert task_of(metadata={"latency_ms": latency})["latency_ms"] is None


def test_what_was_logged_as_text_is_not_kept_twice() -> None:
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
def test_feedback_is_a_flag_or_a_score(fields: dict[str, Any], flag: str) -> None:
    row = feedback_of(**fields)
    assert (row["flag"], row["score"]) == (flag, int(flag == "success"))


@pytest.mark.parametrize("score", [None, 2, -1, 0.5, "1", True, [1]])
def test_feedback_without_flag_or_score_is_a_dead_letter(score: Any) -> None:
    assert reason(feedback(score=score)) == "invalid_field"


def test_feedback_is_of_a_task() -> None:
    assert reason(feedback(task_id=None, score=1)) == "invalid_field"


def test_same_feedback_posted_twice_is_one_fact() -> None:
    logs = [feedback(score=1), feedback(flag="success"), feedback(score=0), feedback(score=1, comment="!")]
    logs += [feedback(score=1, source="waiter"), feedback(score=1, task_id="task-2")]
    ids = [row["feedback_id"] for row in rows(extract(logs), FEEDBACK.name)]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 5


def test_feedback_shares_the_partition_of_its_task_only_by_the_task() -> None:
    [message] = extract([feedback(score=1)]).messages[FEEDBACK.name]
    assert message.key == message_key(PROJECT, session_id_of_task("task-1"), "task-1")


def test_metadata_keeps_nested_lists_as_text_where_they_are_sparse() -> None:
    """ClickHouse takes a time exponential in their depth. Full ones, such as coordinates, stay lists."""
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
