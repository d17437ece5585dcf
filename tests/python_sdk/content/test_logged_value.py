"""Extraction from inputs and outputs of client libraries: as dicts of their JSON, and as objects of that shape."""

from __future__ import annotations

import dataclasses
import json
from math import nan
from types import SimpleNamespace
from typing import Any

import pytest

import phospho
from phospho import extractor


def as_dict(value: Any) -> Any:
    return value


def as_object(value: Any) -> Any:
    """Return the value as an object with attributes, as a client library does."""
    if isinstance(value, dict):
        return SimpleNamespace(**{key: as_object(item) for key, item in value.items()})
    return [as_object(item) for item in value] if isinstance(value, list) else value


either_shape = pytest.mark.parametrize("shape", [as_dict, as_object])

OPENAI_CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Paris"}'}}


def openai_chat(message: dict[str, Any]) -> dict[str, Any]:
    usage = {"prompt_tokens": 10, "completion_tokens": 9, "total_tokens": 19}
    return {"object": "chat.completion", "model": "gpt", "choices": [{"message": message}], "usage": usage}


RESPONSES = {
    "object": "response",
    "model": "gpt",
    "output": [
        {"type": "reasoning", "summary": []},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hello!"}]},
        {"type": "function_call", "name": "weather", "arguments": '{"city":"Paris"}'},
    ],
    "usage": {"input_tokens": 10, "output_tokens": 9, "total_tokens": 19},
}

ANTHROPIC = {
    "type": "message",
    "role": "assistant",
    "model": "claude",
    "content": [
        {"type": "thinking", "thinking": "hmm"},
        {"type": "text", "text": "Hello!"},
        {"type": "tool_use", "name": "weather", "input": {"city": "Paris"}},
    ],
    "usage": {"input_tokens": 10, "output_tokens": 9},
}

GEMINI = {
    "model_version": "gemini",
    "candidates": [{"content": {"role": "model", "parts": [{"text": "Hel"}, {"text": "lo!"}]}}],
    "usage_metadata": {"prompt_token_count": 10, "candidates_token_count": 9, "total_token_count": 19},
}

OLLAMA_CHAT = {
    "model": "mistral",
    "message": {"role": "assistant", "content": "Hello!"},
    "done": True,
    "prompt_eval_count": 10,
    "eval_count": 9,
}

LANGCHAIN_MESSAGE = {
    "type": "ai",
    "content": "Hello!",
    "usage_metadata": {"input_tokens": 10, "output_tokens": 9, "total_tokens": 19},
}


@either_shape
@pytest.mark.parametrize(
    ("response", "text"),
    [
        (openai_chat({"role": "assistant", "content": "Hello!"}), "Hello!"),
        (openai_chat({"role": "assistant", "content": None, "refusal": "I can't."}), "I can't."),
        (openai_chat({"role": "assistant", "content": None, "tool_calls": [OPENAI_CALL]}), 'weather({"city":"Paris"})'),
        (openai_chat({"role": "assistant", "content": [{"type": "text", "text": "Hello!"}]}), "Hello!"),
        ({"choices": [{"text": "a legacy completion"}]}, "a legacy completion"),
        (RESPONSES, 'Hello!\nweather({"city":"Paris"})'),
        (ANTHROPIC, 'Hello!\nweather({"city": "Paris"})'),
        (GEMINI, "Hello!"),
        (OLLAMA_CHAT, "Hello!"),
        ({"model": "mistral", "response": "Hello!", "done": True}, "Hello!"),
        (LANGCHAIN_MESSAGE, "Hello!"),
        ({"generations": [[{"text": "Hello!"}]]}, "Hello!"),
        ({"generations": [{"text": "Hello!"}]}, "Hello!"),
    ],
)
def test_output_text_of_response(response: Any, text: str, shape: Any) -> None:
    assert extractor.detect_str_from_output(shape(response)) == text


@either_shape
@pytest.mark.parametrize(
    "response",
    [openai_chat({"role": "assistant", "content": "Hi"}), RESPONSES, ANTHROPIC, GEMINI, OLLAMA_CHAT, LANGCHAIN_MESSAGE],
)
def test_usage_of_response(response: Any, shape: Any) -> None:
    assert extractor.detect_usage_from_input_output(None, shape(response)) == {
        "prompt_tokens": 10,
        "completion_tokens": 9,
        "total_tokens": 19,
        "tokens_in": 10,
        "tokens_out": 9,
    }


OPENAI_CHUNKS = [
    {"object": "chat.completion.chunk", "choices": [{"delta": {"role": "assistant", "content": ""}}]},
    {"object": "chat.completion.chunk", "choices": [{"delta": {"content": "Hel"}}]},
    {"object": "chat.completion.chunk", "choices": [{"delta": {"content": "lo!"}}]},
    {"object": "chat.completion.chunk", "choices": [{"delta": {}, "finish_reason": "stop"}]},
    {"object": "chat.completion.chunk", "choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 9}},
]

RESPONSES_EVENTS = [
    {"type": "response.created", "response": {"output": []}},
    {"type": "response.output_text.delta", "delta": "Hel"},
    {"type": "response.output_text.delta", "delta": "lo!"},
    {"type": "response.output_text.done", "text": "Hello!"},
    {"type": "response.completed", "response": {**RESPONSES, "output": RESPONSES["output"][:2]}},
]

ANTHROPIC_EVENTS = [
    {"type": "message_start", "message": {**ANTHROPIC, "content": []}},
    {"type": "content_block_start", "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "Hel"}},
    {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "lo!"}},
    {"type": "content_block_delta", "delta": {"type": "input_json_delta", "partial_json": "{"}},
    {"type": "content_block_stop"},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}},
    {"type": "message_stop"},
]

GEMINI_CHUNKS = [
    {"candidates": [{"content": {"parts": [{"text": "Hel"}]}}]},
    {
        "candidates": [{"content": {"parts": [{"text": "lo!"}]}}],
        "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 9},
    },
]

OLLAMA_LINES = [
    {"message": {"role": "assistant", "content": "Hel"}},
    {"message": {"role": "assistant", "content": "lo!"}},
    {"message": {"role": "assistant", "content": ""}, "done": True, "prompt_eval_count": 10, "eval_count": 9},
]

LANGCHAIN_CHUNKS = [{"type": "AIMessageChunk", "content": "Hel"}, {"type": "AIMessageChunk", "content": "lo!"}]


@either_shape
@pytest.mark.parametrize(
    ("chunks", "tokens_out"),
    [
        (OPENAI_CHUNKS, 9),
        (RESPONSES_EVENTS, 9),
        (ANTHROPIC_EVENTS, 9),
        (GEMINI_CHUNKS, 9),
        (OLLAMA_LINES, 9),
        (LANGCHAIN_CHUNKS, None),
    ],
)
def test_stream_text_and_usage(
    recorded: phospho.RecordingTransport, chunks: Any, tokens_out: int | None, shape: Any
) -> None:
    stream = phospho.MutableGenerator(iter([shape(chunk) for chunk in chunks]))

    phospho.log(input="Say hello", output=stream, stream=True)
    list(stream)
    phospho.flush()

    assert recorded.logs[0]["output"] == "Hello!"
    assert recorded.logs[0].get("completion_tokens") == tokens_out
    assert recorded.logs[0]["raw_output"] == chunks


def test_stream_of_server_sent_events_is_read(recorded: phospho.RecordingTransport) -> None:
    lines = [b"data: " + json.dumps(chunk).encode() for chunk in OPENAI_CHUNKS] + [b"data: [DONE]"]
    stream = phospho.MutableGenerator(iter(lines), stop=lambda line: line == b"data: [DONE]")

    phospho.log(input="Say hello", output=stream, stream=True)
    list(stream)
    phospho.flush()

    assert recorded.logs[0]["output"] == "Hello!"


SYSTEM_AND_USER = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Say hello"}]


@either_shape
@pytest.mark.parametrize(
    "call",
    [
        {"messages": SYSTEM_AND_USER, "model": "gpt"},
        {"messages": [{**SYSTEM_AND_USER[0], "role": "developer"}, SYSTEM_AND_USER[1]]},
        {"instructions": "Be brief.", "input": "Say hello"},
        {
            "instructions": "Be brief.",
            "input": [{"role": "user", "content": [{"type": "input_text", "text": "Say hello"}]}],
        },
        {"system": "Be brief.", "messages": [{"role": "user", "content": [{"type": "text", "text": "Say hello"}]}]},
        {"system": [{"type": "text", "text": "Be brief."}], "messages": [{"role": "user", "content": "Say hello"}]},
        {"contents": "Say hello", "config": {"system_instruction": "Be brief."}},
        {
            "contents": [{"role": "user", "parts": [{"text": "Say hello"}]}],
            "systemInstruction": {"parts": [{"text": "Be brief."}]},
        },
        {"prompt": "Say hello", "system": "Be brief."},
        SYSTEM_AND_USER,
        [{"type": "system", "content": "Be brief."}, {"type": "human", "content": "Say hello"}],
        {"messages": [{"type": "system", "content": "Be brief."}, {"type": "human", "content": "Say hello"}]},
    ],
)
def test_input_text_and_system_prompt_of_call(call: Any, shape: Any) -> None:
    assert extractor.detect_str_from_input(shape(call)) == "Say hello"
    assert extractor.detect_system_prompt_from_input_output(shape(call), None) == "Be brief."


@either_shape
@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"role": "assistant", "content": None, "tool_calls": [OPENAI_CALL]}, 'weather({"city":"Paris"})'),
        ({"role": "assistant", "content": None, "refusal": "I can't."}, "I can't."),
        ({"role": "assistant", "content": [{"type": "text", "text": "Hello!"}]}, "Hello!"),
        ({"role": "assistant", "content": [{"type": "tool_result", "content": "sunny"}]}, ""),
        ({"role": "model", "parts": [{"inline_data": {"mime_type": "image/png"}}]}, "[inline_data]"),
    ],
)
def test_output_text_of_tool_call_or_refusal_in_last_message(message: Any, text: str, shape: Any) -> None:
    conversation = shape([{"role": "user", "content": "Hi"}, message])

    assert extractor.detect_str_from_output(conversation) == text


def test_to_jsonable_converts_objects_to_plain_values() -> None:
    @dataclasses.dataclass
    class Point:
        x: int
        label: str

    class Shout(str):
        pass

    class Whole(int):
        pass

    value = {"point": Point(1, "a"), "shout": Shout("A"), "whole": Whole(3), "bytes": b"[1]", "set": {1}, "nan": nan}

    assert extractor.extract_data_from_output(value)[1] == {
        "point": {"x": 1, "label": "a"},
        "shout": "A",
        "whole": 3,
        "bytes": [1],
        "set": [1],
        "nan": "nan",
    }


def test_extractor_returns_text_json_and_metadata() -> None:
    call, response = {"messages": SYSTEM_AND_USER, "model": "gpt"}, openai_chat({"content": "Hello!"})

    assert extractor.extract_data_from_input(call) == ("Say hello", call)
    assert extractor.extract_data_from_output(response) == ("Hello!", response)
    assert extractor.extract_data_from_output() == (None, None)
    assert extractor.extract_data_from_input({"q": "why?"}, "raw", lambda value: value["q"]) == ("why?", "raw")
    metadata = extractor.extract_metadata_from_input_output(call, response)
    assert (metadata["total_tokens"], metadata["model"], metadata["system_prompt"]) == (19, "gpt", "Be brief.")


def test_input_text_of_role_and_text_pairs() -> None:
    """As LangChain's prompt templates take them."""
    assert extractor.detect_str_from_input([("system", "Be brief."), ("human", "Say hello")]) == "Say hello"


def test_input_text_names_types_of_other_parts() -> None:
    content = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": "data:…"}}]

    assert extractor.detect_str_from_input([{"role": "user", "content": content}]) == "What is this?\n[image_url]"


@pytest.mark.parametrize(
    ("roles", "input", "output"),
    [
        (["user", "assistant"], "0", "1"),
        (["user", "assistant", "user", "assistant"], "2", "3"),
        (["assistant", "user", "assistant", "assistant"], "1", "2\n3"),
        (["user", "user", "assistant"], "0\n1", "2"),
        (["user", "assistant", "tool", "assistant"], "0", "3"),
        (["system"], "", ""),
    ],
)
def test_conversation_text_is_that_of_the_last_messages(roles: list[str], input: str, output: str | None) -> None:
    conversation = [{"role": role, "content": str(number)} for number, role in enumerate(roles)]

    assert extractor.detect_str_from_input(conversation) == input
    assert extractor.detect_str_from_output(conversation) == output


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"some": "dict", "deep": [1, None]}, '{"some":"dict","deep":[1,null]}'),
        (["a", "list"], '["a","list"]'),
        (True, "true"),
        (3, "3"),
        (4.5, "4.5"),
        (nan, "nan"),
        (object, str(object)),
    ],
)
def test_unknown_value_text_is_its_json_or_str(value: Any, text: str) -> None:
    assert extractor.detect_str_from_input(value) == text
    assert extractor.detect_str_from_output(value) == text


def test_none_has_no_text() -> None:
    assert extractor.detect_str_from_input(None) == ""
    assert extractor.detect_str_from_output(None) is None


def test_log_snapshot_ignores_later_changes(recorded: phospho.RecordingTransport) -> None:
    messages = [{"role": "user", "content": "first"}]

    phospho.log(input=messages)
    messages.append({"role": "user", "content": "second"})
    phospho.flush()

    assert recorded.logs[0]["raw_input"] == [{"role": "user", "content": "first"}]


def test_log_keywords_win_over_extracted_fields(recorded: phospho.RecordingTransport) -> None:
    phospho.log(input={"messages": SYSTEM_AND_USER, "model": "gpt"}, model="mine", system_prompt="mine too")
    phospho.flush()

    assert (recorded.logs[0]["model"], recorded.logs[0]["system_prompt"]) == ("mine", "mine too")


def test_usage_function_counts_tokens(recorded: phospho.RecordingTransport) -> None:
    phospho.log(
        input="a b c",
        output="d e",
        input_output_to_usage_function=lambda question, answer: {
            "prompt_tokens": len(question.split()),
            "completion_tokens": len(answer.split()),
        },
    )
    phospho.flush()

    assert (recorded.logs[0]["prompt_tokens"], recorded.logs[0]["completion_tokens"]) == (3, 2)
