"""Text, model and figures of the shapes: the examples that all clients share, unknown shapes, and any JSON."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phospho_schemas.shapes.answers import output_text
from phospho_schemas.shapes.figures import Usage, model_name, usage
from phospho_schemas.shapes.media import described
from phospho_schemas.shapes.requests import input_text, system_prompt
from phospho_schemas.shapes.streams import Assembly

EXAMPLES = json.loads((Path(__file__).parents[1] / "contract/shapes.json").read_text(encoding="utf-8"))
ANSWERS, INPUTS = EXAMPLES["answers"], EXAMPLES["inputs"]
USER = {"role": "user", "content": "hello"}


def named(examples: list[dict[str, Any]]) -> Any:
    return pytest.mark.parametrize("example", examples, ids=[example["name"] for example in examples])


@named(ANSWERS)
def test_answer_is_the_same_whole_and_in_chunks(example: dict[str, Any]) -> None:
    ways = example.keys() & {"whole", "chunks"}
    assert ways
    for answer in (example[way] for way in ways):
        assert output_text(answer) == example["text"]
        used = usage(answer)
        if "tokens_in" in example:
            assert (used.tokens_in, used.tokens_out) == (example["tokens_in"], example.get("tokens_out"))
        assert model_name(answer) == example.get("model", model_name(answer))


@named([example for example in ANSWERS if "chunks" in example])
def test_assembly_has_text_and_figures_of_its_chunks(example: dict[str, Any]) -> None:
    assembly = Assembly()
    for chunk in example["chunks"]:
        assembly.add(chunk)
    assert assembly.text() == example["text"]
    assert (assembly.usage(), assembly.model()) == (usage(example["chunks"]), model_name(example["chunks"]))


def nested(field: str | None, value: Any, **others: str) -> Any:
    for _ in range(1500):
        value = [value] if field is None else {**others, field: value}
    return value


@pytest.mark.parametrize(
    "value",
    [
        nested(None, []),
        {"messages": nested(None, [USER])},
        nested("messages", [USER]),
        nested("chunk", {"choices": []}, type="chunk"),
        [nested("chunk", {"choices": []}, type="chunk")],
    ],
    ids=["lists", "lists of messages", "messages", "chunk", "chunks"],
)
def test_deeply_nested_value_has_no_text(value: Any) -> None:
    assert input_text(value) is None
    assert output_text(value) is None


def many_calls(**fields: Any) -> list[dict[str, Any]]:
    return [{"function": {"name": "a"}, **{name: field(n) for name, field in fields.items()}} for n in range(16_000)]


MANY_PARTS: dict[str, list[Any]] = {
    "calls without an index": [{"choices": [{"delta": {"tool_calls": many_calls()}}]}],
    "calls of the same index": [{"choices": [{"delta": {"tool_calls": many_calls(id=str, index=lambda n: 0)}}]}],
    "parts of Gemini": [{"candidates": [{"content": {"parts": [{"functionCall": {"name": "a"}}] * 16_000}}]}],
    "texts of the AI SDK": [{"type": "text-delta", "id": str(n), "delta": "a()"} for n in range(16_000)],
    "items of Responses": [
        {"type": "response.output_item.done", "output_index": n, "item": {"type": "function_call", **call["function"]}}
        for n, call in enumerate(many_calls())
    ],
}


@pytest.mark.parametrize("chunks", MANY_PARTS.values(), ids=MANY_PARTS)
def test_assembly_of_many_parts_takes_linear_time(chunks: list[Any]) -> None:
    """Each takes 0.1 to 0.3 s, and took 10 to 20 s when each part searched all before it."""
    assembly, start = Assembly(), time.process_time()
    for chunk in chunks:
        assembly.add(chunk)
    assert assembly.text() == "\n".join(["a()"] * 16_000)
    assert time.process_time() - start < 3


@named(INPUTS)
def test_input_is_what_the_user_said(example: dict[str, Any]) -> None:
    assert input_text(example["value"]) == example["text"]
    assert system_prompt(example["value"]) == example["system_prompt"]


@pytest.mark.parametrize("value", ["", "text", "{\"role\": \"user\"}", " \n"])  # fmt: skip
def test_plain_text_is_unchanged(value: str) -> None:
    assert input_text(value) == value
    assert output_text(value) == value


@pytest.mark.parametrize(
    "value",
    [None, True, 1, 2.5, [], {}, [1, 2], {"a": None}, [[]], [None, "user", 3], [{"b": 2}], {"output": ["a", "b"]}],
)
def test_unknown_shape_has_no_text(value: Any) -> None:
    assert input_text(value) is None
    assert output_text(value) is None or "user" in value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"messages": [{"role": "user", "content": None}]}, ""),
        ({"messages": [{"role": "user"}]}, ""),
        ({"messages": [{"role": 7, "content": "x"}, USER, "text", None]}, "hello"),
        ({"prompt": ["one", "two"]}, "one\ntwo"),
        ({"content": "one message"}, "one message"),
        ({"contents": ["one", {"text": "two"}]}, "one\ntwo"),
        ({"messages": [], "prompt": "p"}, "p"),
        ([["system", "Be brief."], ["human", "hello"]], "hello"),
    ],
)
def test_input_text_of_odd_requests(value: Any, text: str) -> None:
    assert input_text(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"choices": [None]}, ""),
        ({"choices": [{"message": None}]}, ""),
        ({"choices": [{"message": {"function_call": {"name": "f"}}}]}, "f()"),
        ({"content": [{"type": ["no name"], "text": "a"}]}, "a"),
        ([{"type": ["no name"]}, "a"], "a"),
        ({"output_text": "short"}, "short"),
        ({"output": "o"}, "o"),
        ({"candidates": [{"finishReason": "SAFETY"}]}, ""),
        ({"candidates": [{"content": {"parts": [{"functionCall": {"name": "f"}}]}}]}, "f()"),
        (["a", {"choices": [{"delta": {"content": "b"}}]}, "c"], "abc"),
        ([{"type": "ping"}], ""),
        ({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, "a\nb"),
        ({"type": "response.output_text.delta", "delta": "Hel"}, "Hel"),
    ],
)
def test_output_text_of_odd_answers(value: Any, text: str) -> None:
    assert output_text(value) == text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, Usage()),
        ({"usage": None}, Usage()),
        ({"usage": {"prompt_tokens": 0, "completion_tokens": 0}}, Usage(0, 0, None, 0)),
        ({"usage": {"prompt_tokens": "12", "completion_tokens": 3.0}}, Usage(12, 3, None, 15)),
        ({"usage": {"input_tokens": 5}}, Usage(5)),
        ({"usage": {"inputTokens": {"total": 5, "noCache": 1}, "outputTokens": {"total": 2}}}, Usage(5, 2, None, 7)),
        ({"usage": {"prompt_tokens": 9, "cache_read_input_tokens": 8}}, Usage(9)),
        ({"total_duration": -1}, Usage()),
        ({"total_duration": 2_000_000, "eval_count": 1}, Usage(None, 1, 2.0)),
    ],
)
def test_usage_is_read_from_the_response(value: Any, expected: Usage) -> None:
    assert usage(value) == expected


def test_model_name_is_the_first_named() -> None:
    assert model_name("not a model", {"model": ""}, {"model": 7}, {"model": "m"}, {"model": "n"}) == "m"
    assert model_name(None, [], 3, ["text"]) == ""


def test_base64_is_described_and_other_text_is_kept() -> None:
    data, letters = "A" * 4000, "a" * 4000
    value = {
        "url": f"data:image/png;base64,{data}",
        "source": {"type": "base64", "data": data},
        "parts": [f"See data:image/png;base64,{data} and more.", {"inlineData": {"data": "AAAA"}}],
        "text": letters,
    }
    assert described(value) == {
        "url": "data:image/png;base64,<base64, 3000 bytes>",
        "source": {"type": "base64", "data": "<base64, 3000 bytes>"},
        "parts": ["See data:image/png;base64,<base64, 3000 bytes> and more.", {"inlineData": {"data": "AAAA"}}],
        "text": letters,
    }
    plain = {"messages": [USER, {"role": "assistant", "content": letters}]}
    assert described(plain) is plain


def chunk_of_calls(*calls: dict[str, Any]) -> dict[str, Any]:
    return {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"tool_calls": list(calls)}}]}


def piece(arguments: str, name: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"index": 0, "function": {"name": name, "arguments": arguments}, **fields}


@pytest.mark.parametrize(
    ("chunks", "text"),
    [
        ([[piece('{"a": 1}', "f"), piece('{"b": 2}', "g")]], 'f({"a": 1})\ng({"b": 2})'),
        ([[piece('{"a": 1}', "f")], [piece('{"b": 2}', "g")]], 'f({"a": 1})\ng({"b": 2})'),
        ([[piece('{"a": 1}', "f")], [piece('{"a": 2}', "f")]], 'f({"a": 1})\nf({"a": 2})'),
        (
            [[piece('{"a"', "f", id="1")], [piece(": 1}")], [piece("{", "f", id="2")], [piece("}")]],
            'f({"a": 1})\nf({})',
        ),
        ([[piece("", "f")], [piece('{"a"', "f")], [piece(": 1}", "f")]], 'f({"a": 1})'),
        ([[piece("", "get_")], [piece("", "weather")], [piece("{}")]], "get_weather({})"),
    ],
)
def test_calls_of_one_index_are_told_apart(chunks: list[Any], text: str) -> None:
    assert output_text([chunk_of_calls(*calls) for calls in chunks]) == text


def test_long_streams_take_linear_time() -> None:
    def seconds(make: Any, number: int) -> float:
        began = time.perf_counter()
        assembly = Assembly()
        for _ in range(number):
            assembly.add(make())
        assembly.text()
        return time.perf_counter() - began

    path = {"jsonPath": "$.a", "stringValue": "x" * 100, "willContinue": True}
    call = {"functionCall": {"partialArgs": [path]}}
    pieces = lambda: {"candidates": [{"content": {"parts": [call]}}]}  # noqa: E731
    required = {"submit_tool_outputs": {"tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}}
    runs = lambda: {"object": "thread.run", "required_action": required}  # noqa: E731
    for make in (pieces, runs):
        assert seconds(make, 8_000) < 40 * seconds(make, 1_000) + 0.5


FIELDS = [
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
    "function",
    "name",
    "arguments",
    "index",
    "item",
    "chunk",
    "content_block",
    "partial_json",
    "contentBlockDelta",
    "generations",
    "audio",
]
KINDS = ["user", "assistant", "system", "tool_result", "message_start", "response.completed", "content_block_delta"]

anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(FIELDS), inner | st.sampled_from(KINDS), max_size=5)
    ),
    max_leaves=20,
)


@given(anything)
def test_shapes_accept_any_json(value: Any) -> None:
    for text in (input_text(value), output_text(value)):
        assert text is None or isinstance(text, str)
    assert isinstance(system_prompt(value), str)
    assert isinstance(model_name(value), str)
    used = usage(value)
    assert all(count is None or 0 <= count < 2**34 for count in (used.tokens_in, used.tokens_out))
    assert described(value) == value
