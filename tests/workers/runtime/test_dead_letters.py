"""Dead letters, which fit their topic whatever the record is."""

from __future__ import annotations

import base64
from typing import Any

import orjson
import pytest

from phospho_schemas.messages import DeadLetterRow
from phospho_schemas.topics import DEAD_LETTER, MAX_MESSAGE_BYTES, RAW_LOGS, TASKS, TOPICS, Keyed
from phospho_workers.runtime.dead_letters import dead_letter
from phospho_workers.runtime.records import Record, Rejected, StageOutput

REJECTION = Rejected("invalid_json", "not JSON: \x01" * 1000)
Headers = tuple[tuple[str, bytes], ...]


def letter_of(topic: str, key: bytes, value: bytes, headers: Headers, project_id: str = "shop") -> dict[str, Any]:
    message = dead_letter(Record(topic, 3, 17, 1_767_261_605_000, key, value, headers), "sink", REJECTION, project_id)
    assert DEAD_LETTER.fits(message.key, message.value)
    DeadLetterRow.model_validate_json(message.value)
    row: dict[str, Any] = orjson.loads(message.value)
    assert row["payload_bytes"] == len(value)
    return row


def test_dead_letter_holds_the_largest_raw_log_whole() -> None:
    value = b"\xff" * RAW_LOGS.max_message_bytes
    row = letter_of(RAW_LOGS.name, b"k" * 4096, value, (("trace", b"\x00" * 65_000),))
    assert base64.b64decode(row["payload_base64"]) == value
    assert row["is_truncated"] is False


@pytest.mark.parametrize(
    ("key", "value", "headers"),
    [
        (b"k", b"\xff" * TASKS.max_message_bytes, ()),
        (b"\xff" * RAW_LOGS.max_message_bytes, b"value", ()),
        (b"k", b"value", (("\x01" * RAW_LOGS.max_message_bytes, b""),)),
        (b"k", b"value", (("", b""),) * 4_000_000),
        (b"k", b"value", (("large", b"\xff" * RAW_LOGS.max_message_bytes), ("small", b""))),
        (b"\xff" * 5000, b"\xff" * 30_000_000, (("\x01", b"\xff" * 9),) * 100_000),
    ],
    ids=["payload", "key", "name of a header", "headers of nothing", "header", "all"],
)  # fmt: skip
def test_dead_letter_of_an_oversized_record_is_truncated(key: bytes, value: bytes, headers: Headers) -> None:
    row = letter_of(TASKS.name, key, value, headers)
    assert row["is_truncated"] is True
    assert value.startswith(base64.b64decode(row["payload_base64"]))
    assert key.startswith(base64.b64decode(row["key_base64"]))
    assert row["headers"] == [[name, base64.b64encode(of).decode()] for name, of in headers[: len(row["headers"])]]


def test_dead_letter_omits_an_impossible_project_id() -> None:
    assert letter_of(TASKS.name, b"k", b"value", (), project_id="p" * MAX_MESSAGE_BYTES)["project_id"] == ""


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_output_rejects_a_message_too_large_for_its_topic(topic: Any) -> None:
    output = StageOutput()
    room = topic.max_message_bytes - 1_000
    output.add(topic, Keyed(b"key", b"x" * (room - 3)))
    with pytest.raises(Rejected) as caught:
        output.add(topic, Keyed(b"key", b"x" * (room - 2)))
    assert caught.value.reason == "too_large"
    assert len(output.messages[topic.name]) == 1
