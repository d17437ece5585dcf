"""Objects with every attribute, or without an end, which apps log in their tests and by mistake."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any
from unittest.mock import AsyncMock, MagicMock, Mock

import pytest

import phospho
from phospho._content.json_values import CYCLE, MAX_ITEMS, to_jsonable

Recorded = phospho.RecordingTransport


def sent(recorded: Recorded) -> list[dict[str, Any]]:
    assert phospho.flush().is_complete
    return recorded.logs


@pytest.mark.parametrize("kind", [Mock, MagicMock, AsyncMock])
def test_mock_is_logged_as_text_and_hardly_touched(recorded: Recorded, kind: Any) -> None:
    question, answer = kind(name="question"), kind(name="answer")

    phospho.log(input=question, output=answer)

    [log] = sent(recorded)
    assert (log["input"], log["output"]) == (str(question), str(answer))
    assert "model" not in log
    for mock in (question, answer):
        assert len(mock._mock_children) <= 3
        assert mock.method_calls == []


@pytest.mark.parametrize(
    "value",
    [
        [{"role": "assistant", "tool_calls": [MagicMock()]}],
        [{"role": "assistant", "content": [MagicMock(), {"type": "tool_use", "function": MagicMock()}]}],
        {"messages": [MagicMock(), {"role": "user", "content": MagicMock()}]},
        {"choices": [{"message": MagicMock()}]},
    ],
)
def test_mock_inside_value_is_harmless(recorded: Recorded, value: Any) -> None:
    phospho.log(input=value, output=value)

    assert len(sent(recorded)) == 1
    assert phospho.stats().errors == {}


def test_wrapped_mock_is_logged(recorded: Recorded) -> None:
    client = MagicMock()

    answer = phospho.wrap(client.chat.completions.create)(messages=[{"role": "user", "content": "why?"}])

    assert answer is client.chat.completions.create.return_value
    assert [(log["input"], log["output"]) for log in sent(recorded)] == [("why?", str(answer))]


class CallInACall:
    """Has only attributes that lead back to itself."""

    def __init__(self) -> None:
        self.type = "tool_result"
        self.function = self
        self.content = [self, self]


def test_object_in_itself_is_cut(recorded: Recorded) -> None:
    phospho.log(input=[{"role": "user", "content": [CallInACall()]}], output=CallInACall())

    [log] = sent(recorded)
    assert log["raw_output"] == {"type": "tool_result", "function": CYCLE, "content": [CYCLE, CYCLE]}
    assert phospho.stats().errors == {}


class EndlessList(list[Any]):
    def __iter__(self) -> Iterator[Any]:
        return count()


class EndlessDict(dict[str, Any]):
    def items(self) -> Any:
        return ((str(number), number) for number in count())


@pytest.mark.parametrize("kind", [EndlessList, EndlessDict])
def test_to_jsonable_cuts_endless_iterables(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("phospho._content.json_values.MAX_ITEMS", 1_000)

    assert len(to_jsonable(kind())) == 1_000


def test_endless_list_is_cut(recorded: Recorded) -> None:
    phospho.log(input="why?", output={"messages": EndlessList([1])})

    [log] = sent(recorded)
    assert len(log["raw_output"]["messages"]) <= MAX_ITEMS


def test_list_of_lists_is_no_conversation(recorded: Recorded) -> None:
    phospho.log(input=[[[1], 2]])

    assert sent(recorded)[0]["input"] == "[[[1],2]]"


def test_to_jsonable_cuts_mutual_references() -> None:
    root: dict[str, Any] = {"name": "root"}
    root["children"] = [{"parent": root, "siblings": root} for _ in range(50)]

    copy = to_jsonable(root)

    assert copy["children"][0] == {"parent": CYCLE, "siblings": CYCLE}
