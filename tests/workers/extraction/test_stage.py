"""Extraction stage: the same messages for the same records in any split, and dead letters for bad ones."""

from __future__ import annotations

import base64
import itertools
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phospho_schemas.messages import DeadLetterRow, FeedbackRow, Message, TaskRow
from phospho_schemas.topics import DEAD_LETTER, FEEDBACK, TASKS
from phospho_workers.extraction.stage import Extraction
from phospho_workers.runtime.records import Record
from workers.extraction.raw_logs import ARRIVED_MS, PROJECT, extract, feedback, log, reason, record, rows

Messages = dict[str, list[tuple[bytes, bytes]]]


def nested(levels: int, opening: str = '{"a":', closing: str = "}", innermost: str = "1") -> bytes:
    return (opening * levels + innermost + closing * levels).encode()


def with_field(name: str, json: bytes) -> bytes:
    return orjson.dumps(log())[:-1] + b',"' + name.encode() + b'":' + json + b"}"


# Whatever a client may send: any JSON, here and there under the names that extraction looks for.
names = st.sampled_from(
    [
        "input",
        "output",
        "raw_input",
        "raw_output",
        "session_id",
        "task_id",
        "event_id",
        "user_id",
        "version_id",
        "flag",
        "score",
        "metadata",
        "created_at",
        "client_created_at",
        "received_at",
        "revision",
        "source",
        "model",
        "system_prompt",
        "kind",
        "schema_version",
        "comment",
        "messages",
        "role",
        "content",
        "parts",
        "text",
        "choices",
        "message",
        "delta",
        "usage",
        "prompt_tokens",
        "response",
        "candidates",
        "contents",
        "type",
    ]
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.sampled_from(["user", "assistant", "success", "feedback", "log", "tool_use", "2026-01-01", "0001-01-01T00:00Z"]),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names | st.text(max_size=5), inner, max_size=5),
    max_leaves=15,
)
logs = st.dictionaries(names, values, max_size=8).map(lambda fields: log() | fields)
lines = st.one_of(
    logs.map(orjson.dumps),
    values.map(orjson.dumps),
    st.binary(max_size=30),
    st.text(max_size=10).map(lambda text: orjson.dumps(log(input=text))),
    st.sampled_from(["task-1", "task-2", None]).map(lambda task_id: orjson.dumps(log(task_id=task_id))),
    st.sampled_from([0, 1, 2]).map(lambda score: orjson.dumps(feedback(score=score))),
)


def placed(batch: list[bytes]) -> list[Record]:
    return [record(line, offset, ARRIVED_MS + offset // 3, partition=offset % 2) for offset, line in enumerate(batch)]


def run(*batches: list[Record]) -> Messages:
    """Run the stage over batches and return its messages by topic, in order."""
    written: Messages = {}
    for batch in batches:
        for topic, messages in Extraction()(batch).messages.items():
            written.setdefault(topic, []).extend((message.key, message.value) for message in messages)
    return written


@given(st.lists(lines, max_size=12), st.lists(st.integers(0, 12), max_size=4))
def test_extraction_output_does_not_depend_on_the_split(batch: list[bytes], cuts: list[int]) -> None:
    records = placed(batch)
    edges = [0, *sorted(cut for cut in cuts if cut < len(records)), len(records)]
    pieces = [records[start:end] for start, end in itertools.pairwise(edges)]
    assert run(*pieces) == run(records)


@given(st.lists(lines, min_size=1, max_size=6))
def test_extraction_makes_one_valid_message_per_record(batch: list[bytes]) -> None:
    written = run(placed(batch))
    assert sum(map(len, written.values())) == len(batch)
    models: dict[str, type[Message]] = {
        TASKS.name: TaskRow,
        FEEDBACK.name: FeedbackRow,
        DEAD_LETTER.name: DeadLetterRow,
    }
    for topic, messages in written.items():
        for key, value in messages:
            row = models[topic].model_validate_json(value)
            assert b"\n" not in value
            if isinstance(row, TaskRow):
                assert key.decode() == f"{row.project_id}:{row.session_id}"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"", "invalid_json"),
        (b"\x00\xff\xfe", "invalid_json"),
        (b"null", "not_an_object"),
        (b"3", "not_an_object"),
        (b"[]", "not_an_object"),
        (b'{"project_id":"shop","input":"cut o', "invalid_json"),
        (b'{"project_id":"shop","input":"a"} {"second": 1}', "invalid_json"),
        (nested(5000), "too_deep"),
        (nested(5000, "[", "]"), "too_deep"),
        (with_field("metadata", nested(120)), "too_deep"),
        (with_field("anything", nested(120, "[", "]")), "too_deep"),
        (with_field("metadata", nested(300)), "unencodable"),
        (with_field("anything", nested(300, "[", "]")), "unencodable"),
        (with_field("output", nested(300)), "unencodable"),
        (with_field("output", b'{"content":' + nested(900, "[", "]", '"x"') + b"}"), "unencodable"),
        (with_field("number", b"1" + b"0" * 400), "invalid_json"),
        (with_field("number", b"1" + b"0" * 5000), "invalid_json"),
    ],
)
def test_extraction_dead_letters_only_the_bad_record(line: bytes, expected: str) -> None:
    output = extract([log(input="before"), line, log(input="after")])
    assert [task["input"] for task in rows(output)] == ["before", "after"]
    [letter] = rows(output, DEAD_LETTER.name)
    assert letter["reason"] == expected
    assert output.dead_letters == {expected: 1}


def test_dead_letter_has_the_source_and_original_bytes() -> None:
    line = b'{"project_id":"shop","input":null,"x":"\xff"}'
    came = Record("phospho.raw-logs", 3, 17, ARRIVED_MS, b"k\xff", line, (("trace", b"\x00\xff"),))
    [letter] = rows(Extraction()([came]), DEAD_LETTER.name)
    assert (letter["source_topic"], letter["source_partition"], letter["source_offset"]) == (came.topic, 3, 17)
    assert (letter["stage"], letter["project_id"]) == ("extraction", PROJECT)
    assert base64.b64decode(letter["payload_base64"]) == line
    assert base64.b64decode(letter["key_base64"]) == b"k\xff"
    assert [(name, base64.b64decode(value)) for name, value in letter["headers"]] == [("trace", b"\x00\xff")]
    assert (letter["payload_bytes"], letter["is_truncated"]) == (len(line), False)
    assert letter["received_at"] == "2026-01-01T10:00:05.000Z"


def test_dead_letter_id_depends_on_the_position() -> None:
    bad = log(flag="good")
    ids = [
        rows(Extraction()([record(bad, offset, partition=partition)]), DEAD_LETTER.name)[0]["dead_letter_id"]
        for partition, offset in ((0, 1), (0, 1), (0, 2), (1, 1))
    ]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3


@pytest.mark.parametrize(
    ("json", "expected"),
    [
        (b'"\\ud800 alone"', "\ufffd alone"),
        (b'"\xff\xfe bytes"', "\ufffd\ufffd bytes"),
        (b'"a pair: \\ud83d\\ude42"', "a pair: 🙂"),
        (b'"NUL \\u0000"', "NUL \0"),
        (b"\"line\\u2028separator\"", "line\u2028separator"),
    ],
)  # fmt: skip
def test_extraction_replaces_only_invalid_unicode(json: bytes, expected: str) -> None:
    [task] = rows(extract([b'{"project_id":"shop","input":' + json + b"}"]))
    assert task["input"] == expected


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity"])
def test_number_outside_json_becomes_null(number: bytes) -> None:
    line = with_field("metadata", b'{"a":' + number + b',"b":1}')
    [task] = rows(extract([line]))
    assert task["metadata"] == {"a": None, "b": 1}


@pytest.mark.parametrize("version", [0, 2, "1", None, True, [1]])
def test_unknown_version_is_rejected(version: Any) -> None:
    assert reason(log(schema_version=version)) == "unknown_version"


@pytest.mark.parametrize("kind", ["trace", "", None, 1, ["log"], {"log": 1}])
def test_unknown_kind_is_rejected(kind: Any) -> None:
    assert reason(log(kind=kind)) == "unknown_kind"


@pytest.mark.parametrize("project_id", [None, "", 7, True, "a b", "a/b", "-a", "ü", "a\n", "p" * 129, ["shop"]])
def test_invalid_project_is_rejected_without_a_project(project_id: Any) -> None:
    output = extract([log(project_id=project_id)])
    [letter] = rows(output, DEAD_LETTER.name)
    assert (letter["reason"], letter["project_id"]) == ("invalid_field", "")


def large_log(size_bytes: int, content: str) -> bytes:
    """Return a log of one message that repeats `content`, as a line."""
    messages = {"messages": [{"role": "user", "content": content * (size_bytes // len(orjson.dumps(content)[1:-1]))}]}
    return orjson.dumps(log(input=messages, output="ok"))


@pytest.mark.parametrize("content", ["I want a refund. ", '"', "\\", "\n", "\x01", "é", "\U0001f642"])
def test_row_of_the_largest_log_fits_its_topic(content: str) -> None:
    """The row holds its text twice: extracted, and as raw JSON, which is escaped twice."""
    [message] = extract([large_log(10_000_000, content)]).messages[TASKS.name]
    assert TASKS.fits(message.key, message.value)


def test_row_too_large_for_its_topic_is_rejected_with_the_whole_log() -> None:
    """JSON makes seven bytes of one, which only a log made on purpose needs."""
    line = b'{"project_id":"shop","input":["' + b"\xff" * 11_000_000 + b'"]}'
    output = extract([log(input="before"), line, log(input="after")])
    assert [task["input"] for task in rows(output)] == ["before", "after"]
    assert output.dead_letters == {"too_large": 1}
    [message] = output.messages[DEAD_LETTER.name]
    assert DEAD_LETTER.fits(message.key, message.value)
    letter = orjson.loads(message.value)
    assert (letter["reason"], letter["project_id"]) == ("too_large", PROJECT)
    assert (letter["payload_bytes"], letter["is_truncated"]) == (len(line), False)
    assert base64.b64decode(letter["payload_base64"]) == line


def test_empty_batch_has_no_output() -> None:
    assert run([]) == {}
