"""Objects that answer to every name or never end: what apps log in their tests, and by mistake."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any
from unittest.mock import AsyncMock, MagicMock, Mock

import pytest

import phospho
from phospho._content.json_values import MAX_ITEMS, to_jsonable

Recorded = phospho.RecordingTransport


def sent(recorded: Recorded) -> list[dict[str, Any]]:
    assert phospho.flush().is_complete
    return recorded.logs


@pytest.mark.parametrize("kind", [Mock, MagicMock, AsyncMock])
def test_a_mock_is_logged_as_its_text_and_hardly_touched(recorded: Recorded, kind: Any) -> None:
    asked, answered = kind(name="asked"), kind(name="answered")

    phospho.log(input=asked, output=answered)

    [log] = sent(recorded)
    assert (log["input"], log["output"]) == (str(asked), str(answered))
    assert "model" not in log
    for mock in (asked, answered):
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
def test_a_mock_inside_of_what_is_logged_does_no_harm(recorded: Recorded, value: Any) -> None:
    phospho.log(input=value, output=value)

    assert len(sent(recorded)) == 1
    assert phospho.stats().errors == {}


def test_a_mock_can_be_wrapped(recorded: Recorded) -> None:
    client = MagicMock()

    answer = phospho.wrap(client.chat.completions.create)(messages=[{"role": "user", "content": "why?"}])

    assert answer is client.chat.completions.create.return_value
    assert [(log["input"], log["output"]) for log in sent(recorded)] == [("why?", str(answer))]


class CallInACall:
    """Has no attribute but those that lead back to itself."""

    def __init__(self) -> None:
        self.type = "tool_result"
        self.function = self
        self.content = [self, self]


def test_what_leads_back_to_itself_is_followed_a_few_steps(recorded: Recorded) -> None:
    phospho.log(input=[{"role": "user", "content": [CallInACall()]}], output=CallInACall())

    assert sent(recorded)[0]["input"].count("[tool_result]") == 4


class EndlessList(list[Any]):
    def __iter__(self) -> Iterator[Any]:
        return count()


class EndlessDict(dict[str, Any]):
    def items(self) -> Any:
        return ((str(number), number) for number in count())


@pytest.mark.parametrize("kind", [EndlessList, EndlessDict])
def test_of_what_never_ends_no_more_is_taken_than_an_event_may_hold(kind: Any) -> None:
    assert len(to_jsonable(kind())) == MAX_ITEMS


def test_an_endless_list_of_messages_is_too_large(recorded: Recorded) -> None:
    phospho.log(input="why?", output={"messages": EndlessList([1])})

    assert phospho.stats().dropped == {"too_large": 1}


def test_lists_of_lists_are_no_messages(recorded: Recorded) -> None:
    phospho.log(input=[[[1], 2]])

    assert sent(recorded)[0]["input"] == "[[[1],2]]"
