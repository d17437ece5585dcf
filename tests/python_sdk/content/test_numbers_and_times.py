"""Numbers of NumPy and the standard library, times in every form, and objects that pydantic would warn of."""

from __future__ import annotations

import datetime as dt
import warnings
from collections import UserDict, deque
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from types import MappingProxyType
from typing import Any

import numpy as np
import pydantic
import pytest

import phospho
from phospho import extractor
from phospho._content.json_values import to_jsonable

NOON = dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (np.int64(3), 3),
        (np.float32(0.5), 0.5),
        (np.bool_(True), True),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (np.float64("nan"), "nan"),
        (Decimal("12"), 12),
        (2**64, 2**64),
        (np.uint64(2**64 - 1), 2**64 - 1),
        (-(10**40), -(10**40)),
        ({"a": 1}.values(), [1]),
        (pydantic.RootModel[list[int]]([1]), [1]),
        (pydantic.RootModel[str]("a"), "a"),
        ((number for number in "ab"), "<generator, not read>"),
        (map(str, "ab"), "<map, not read>"),
        (Decimal("0.5"), 0.5),
        (Decimal("NaN"), "nan"),
        (Fraction(1, 2), 0.5),
        (b"\x89PNG\xff", "<5 bytes>"),
    ],
)
def test_numbers_become_json_numbers(value: Any, plain: Any) -> None:
    copy = to_jsonable({"value": value})["value"]
    assert (copy, type(copy)) == (plain, type(plain))


class Plan(Enum):
    PRO = "pro"


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (deque([1, "x"]), [1, "x"]),
        (range(3), [0, 1, 2]),
        (MappingProxyType({"a": Plan.PRO}), {"a": "pro"}),
        (UserDict(a=Decimal("0.5")), {"a": 0.5}),
        (Plan.PRO, "pro"),
    ],
)
def test_collections_and_enums_become_json_values(value: Any, plain: Any) -> None:
    assert to_jsonable({"value": value}) == {"value": plain}


def test_token_counts_of_any_number_type_count(recorded: phospho.RecordingTransport) -> None:
    usage = {"prompt_tokens": np.int32(12), "completion_tokens": Decimal(3)}

    phospho.log(input="why?", output={"choices": [{"message": {"content": "so"}}], "usage": usage})
    phospho.flush()

    assert (recorded.logs[0]["tokens_in"], recorded.logs[0]["tokens_out"]) == (12, 3)


@pytest.mark.parametrize("name", ["client_created_at", "created_at"])
@pytest.mark.parametrize(
    "value",
    [
        NOON,
        NOON.astimezone(dt.timezone(dt.timedelta(hours=2))),
        NOON.timestamp(),
        int(NOON.timestamp() * 1000),
        np.int64(NOON.timestamp() * 1000),
        int(NOON.timestamp() * 10**6),
        int(NOON.timestamp() * 10**9),
        NOON.isoformat(),
        "2026-11-01T12:00:00Z",
        "2026-11-01T12:00:00",
        str(int(NOON.timestamp())),
    ],
    ids=str,
)
def test_time_is_read_in_every_form(recorded: phospho.RecordingTransport, name: str, value: Any) -> None:
    phospho.log(input="why?", **{name: value})
    phospho.flush()

    assert recorded.logs[0]["client_created_at"] == NOON.timestamp()
    assert "created_at" not in recorded.logs[0]


def test_time_that_is_none_is_metadata_with_a_warning(
    recorded: phospho.RecordingTransport, caplog: pytest.LogCaptureFixture
) -> None:
    phospho.log(input="why?", created_at="yesterday")
    phospho.flush()

    assert recorded.logs[0]["metadata"] == {"created_at": "yesterday"}
    assert "created_at is no time" in caplog.text


def test_parsed_response_is_copied_without_warnings(recorded: phospho.RecordingTransport) -> None:
    chat = pytest.importorskip("openai.types.chat.parsed_chat_completion", reason="reads its objects")
    from pydantic import BaseModel

    class Person(BaseModel):
        name: str

    message = {"role": "assistant", "content": '{"name":"Ann"}', "parsed": Person(name="Ann")}
    choice = chat.ParsedChoice.construct(index=0, message=chat.ParsedChatCompletionMessage.construct(**message))
    response = chat.ParsedChatCompletion.construct(id="c", object="chat.completion", model="m", choices=[choice])

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        phospho.log(input="Who?", output=response)
    phospho.flush()

    assert recorded.logs[0]["output"] == '{"name":"Ann"}'
    assert recorded.logs[0]["raw_output"]["choices"][0]["message"]["parsed"] == {"name": "Ann"}


def test_picture_is_described_before_it_is_sent(recorded: phospho.RecordingTransport) -> None:
    url = "data:image/png;base64," + "A" * 4000
    content = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": url}}]

    phospho.log(input={"messages": [{"role": "user", "content": content}]}, output="A cat.")
    phospho.flush()

    assert recorded.logs[0]["input"] == "What is it?\n[image_url]"
    assert len(str(recorded.logs[0]["raw_input"])) < 300


def test_task_logged_twice_has_its_last_text(recorded: phospho.RecordingTransport) -> None:
    phospho.log(input="q", output="Hello!", task_id="t", user_id="ann")
    phospho.log(input="q", output="Hello again!", task_id="t", metadata={"retry": True})
    phospho.flush()

    [log] = recorded.logs
    assert (log["output"], log["user_id"], log["metadata"]) == ("Hello again!", "ann", {"retry": True})


def test_extractor_reads_plain_objects_of_a_client() -> None:
    class Message:
        def __init__(self) -> None:
            self.role, self.content = "assistant", "Hello!"

    assert extractor.detect_str_from_output([Message()]) == "Hello!"


def test_iterators_are_left_to_the_app(recorded: phospho.RecordingTransport) -> None:
    messages = ({"role": "user", "content": text} for text in "ab")

    phospho.log(input={"messages": messages}, output="c", source=messages, steps=messages)
    phospho.log(input=messages, output="c")
    phospho.flush()

    assert len(list(messages)) == 2
    first, second = recorded.logs
    assert first["raw_input"] == {"messages": "<generator, not read>"}
    assert (first["steps"], second["input"]) == ("<generator, not read>", "<generator, not read>")


def test_pictures_in_metadata_and_steps_are_described(recorded: phospho.RecordingTransport) -> None:
    picture = "data:image/png;base64," + "A" * 4000

    phospho.log(input="a", output="b", picture=picture, metadata={"deep": [picture]}, steps=[{"input": picture}])
    phospho.flush()

    [log] = recorded.logs
    short = "data:image/png;base64,<base64, 3000 bytes>"
    assert (log["picture"], log["metadata"]["deep"], log["steps"]) == (short, [short], [{"input": short}])
