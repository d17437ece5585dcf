"""Text, system prompt, model and usage of the shapes without an example, and of unknown shapes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phospho_workers.extraction.shapes.texts import input_text, output_text, system_prompt
from phospho_workers.extraction.shapes.usage import Usage, model_name, usage

USER = {"role": "user", "content": "hello"}


@pytest.mark.parametrize("value", ["", "text", "{\"role\": \"user\"}", " \n"])  # fmt: skip
def test_plain_text_is_unchanged(value: str) -> None:
    assert input_text(value) == value
    assert output_text(value) == value


@pytest.mark.parametrize("value", [True, 1, 2.5, [], {}, [1, 2], {"a": None}, [[]], [None, USER["role"], 3]])
def test_unknown_shape_becomes_its_json(value: Any) -> None:
    assert input_text(value) == output_text(value)
    assert input_text(value)


def test_missing_value_becomes_empty_text() -> None:
    assert (input_text(None), output_text(None), system_prompt(None)) == ("", "", "")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ([USER, {"role": "assistant", "content": "a"}, USER, USER], "hello\nhello"),
        ([USER, {"role": "tool", "content": "42"}], "hello"),
        ({"messages": [{"role": "user", "content": None}]}, ""),
        ({"messages": [{"role": "user"}]}, ""),
        ({"messages": [{"role": 7, "content": "x"}, USER, "text", None]}, "hello"),
        ({"prompt": ["one", "two"]}, "one\ntwo"),
        ({"content": "one message"}, "one message"),
        ({"role": "user", "content": [{"type": "text", "text": "part"}]}, "part"),
        ({"contents": "plain"}, "plain"),
        ({"messages": [], "prompt": "p"}, "p"),
    ],
)
def test_input_text_is_the_last_turn_of_the_user(value: Any, text: str) -> None:
    assert input_text(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"choices": []}, ""),
        ({"choices": [None]}, ""),
        ({"choices": [{"message": None}]}, ""),
        (
            {"choices": [{"message": {"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}}]},
            "a\nb",
        ),
        ({"choices": [{"message": {"function_call": {"name": "f"}}}]}, '{"name":"f"}'),
        ({"output_text": "short"}, "short"),
        ({"text": "t"}, "t"),
        ({"output": "o"}, "o"),
        ({"candidates": []}, ""),
        (
            {"candidates": [{"content": {"parts": [{"functionCall": {"name": "f"}}]}}]},
            '[{"functionCall":{"name":"f"}}]',
        ),
        ({"candidates": [{"finishReason": "SAFETY"}]}, ""),
        ([USER, {"role": "assistant", "content": "a"}, {"role": "assistant", "content": "b"}], "a\nb"),
        (["a", {"choices": [{"delta": {"content": "b"}}]}, "c"], "abc"),
        ([{"type": "ping"}], '[{"type":"ping"}]'),
        ([{"response": ""}], ""),
    ],
)
def test_output_text_is_the_answer(value: Any, text: str) -> None:
    assert output_text(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"system": "s", "messages": [{"role": "system", "content": "other"}]}, "s"),
        ([{"role": "system", "content": "a"}, USER, {"role": "developer", "content": "b"}], "a\nb"),
        ({"system_instruction": {"parts": [{"text": "g"}]}}, "g"),
        ({"messages": [USER]}, ""),
        ("text", ""),
    ],
)
def test_system_prompt_is_read_from_each_shape(value: Any, text: str) -> None:
    assert system_prompt(value) == text


def test_model_name_is_the_first_named() -> None:
    assert model_name("not a model", {"model": ""}, {"model": 7}, {"model": "m"}, {"model": "n"}) == "m"
    assert model_name([{"no": "model"}, {"model": "chunk"}], {"model": "request"}) == "chunk"
    assert model_name(None, [], 3, ["text"]) == ""


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, Usage()),
        ("text", Usage()),
        ({"usage": None}, Usage()),
        ({"usage": {"prompt_tokens": 0, "completion_tokens": 0}}, Usage(0, 0)),
        ({"usage": {"input_tokens": 5}}, Usage(5, None)),
        ({"total_duration": -1}, Usage()),
        ({"total_duration": True}, Usage()),
        ([{"usage": {"prompt_tokens": 1}}, {"usage": {"prompt_tokens": 2, "completion_tokens": 3}}, "x"], Usage(2, 3)),
    ],
)
def test_usage_is_read_from_the_response(value: Any, expected: Usage) -> None:
    assert usage(value) == expected


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "role",
                    "content",
                    "parts",
                    "text",
                    "type",
                    "messages",
                    "input",
                    "output",
                    "choices",
                    "message",
                    "delta",
                    "response",
                    "usage",
                    "candidates",
                    "system",
                    "tool_calls",
                    "refusal",
                    "model",
                    "total_duration",
                    "contents",
                    "prompt",
                    "usageMetadata",
                ]
            ),
            inner
            | st.sampled_from(["user", "assistant", "system", "tool_result", "message_start", "response.completed"]),
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(anything)
def test_shapes_accept_any_json(value: Any) -> None:
    for text in (input_text(value), output_text(value), system_prompt(value), model_name(value)):
        assert isinstance(text, str)
    used = usage(value)
    assert all(count is None or 0 <= count < 2**32 for count in (used.tokens_in, used.tokens_out))
