"""Each way in which LLM apps write their spans becomes the same task."""

from __future__ import annotations

import json
from typing import Any

import pytest
from opentelemetry.proto.trace.v1 import trace_pb2

from phospho_gateway.otlp.translation import raw_logs

from .making import read, row_of, span

CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Lisbon"}'}}

GENAI = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.response.model": "gpt-4o-mini",
    "gen_ai.conversation.id": "c-1",
    "user.id": "ann",
    "gen_ai.usage.input_tokens": 12,
    "gen_ai.usage.output_tokens": 4,
}
GENAI_MESSAGES = {
    "gen_ai.system_instructions": json.dumps([{"type": "text", "content": "Be brief"}]),
    "gen_ai.input.messages": json.dumps(
        [
            {"role": "user", "parts": [{"type": "text", "content": "An earlier question"}]},
            {"role": "assistant", "parts": [{"type": "text", "content": "An earlier answer"}]},
            {"role": "user", "parts": [{"type": "text", "content": "Is it warm in Lisbon?"}]},
        ]
    ),
    "gen_ai.output.messages": json.dumps(
        [{"role": "assistant", "parts": [{"type": "text", "content": "It is."}], "finish_reason": "stop"}]
    ),
}
MESSAGE_EVENTS = [
    ("gen_ai.system.message", {"content": "Be brief"}),
    ("gen_ai.user.message", {"content": "Is it warm in Lisbon?"}),
    ("gen_ai.choice", {"index": 0, "finish_reason": "stop", "message": json.dumps({"content": "It is."})}),
]
JSON_EVENTS = [
    ("gen_ai.system.message", {"gen_ai.event.content": json.dumps({"content": "Be brief", "role": "system"})}),
    ("gen_ai.user.message", {"gen_ai.event.content": json.dumps({"content": "Is it warm in Lisbon?"})}),
    ("gen_ai.choice", {"gen_ai.event.content": json.dumps({"message": {"content": "It is."}})}),
]
CONTENT_EVENTS = [
    (
        "gen_ai.content.prompt",
        {
            "gen_ai.prompt": json.dumps(
                [{"role": "system", "content": "Be brief"}, {"role": "user", "content": "Is it warm in Lisbon?"}]
            )
        },
    ),
    ("gen_ai.content.completion", {"gen_ai.completion": json.dumps([{"role": "assistant", "content": "It is."}])}),
]
OPENINFERENCE = {
    "openinference.span.kind": "LLM",
    "llm.model_name": "gpt-4o-mini",
    "session.id": "c-1",
    "user.id": "ann",
    "llm.token_count.prompt": 12,
    "llm.token_count.completion": 4,
    "llm.token_count.total": 16,
    "llm.input_messages.0.message.role": "system",
    "llm.input_messages.0.message.content": "Be brief",
    "llm.input_messages.1.message.role": "user",
    "llm.input_messages.1.message.contents.0.message_content.type": "text",
    "llm.input_messages.1.message.contents.0.message_content.text": "Is it warm in Lisbon?",
    "llm.input_messages.1.message.contents.1.message_content.type": "image",
    "llm.input_messages.1.message.contents.1.message_content.image.image.url": "http://127.0.0.1/map.png",
    "llm.output_messages.0.message.role": "assistant",
    "llm.output_messages.0.message.content": "It is.",
    "input.value": "something longer",
    "output.value": "something longer",
}
OPENINFERENCE_VALUES = {
    "openinference.span.kind": "LLM",
    "llm.model_name": "gpt-4o-mini",
    "metadata": json.dumps({"thread_id": "c-1", "user_id": "ann"}),
    "llm.token_count.prompt": 12,
    "llm.token_count.completion": 4,
    "input.mime_type": "application/json",
    "input.value": json.dumps(
        {
            "messages": [
                {"role": "system", "content": "Be brief"},
                {"role": "user", "content": "Is it warm in Lisbon?"},
            ]
        }
    ),
    "output.value": "It is.",
}
OPENLLMETRY = {
    "llm.request.type": "chat",
    "gen_ai.system": "OpenAI",
    "gen_ai.request.model": "gpt-4o-mini",
    "traceloop.association.properties.session_id": "c-1",
    "traceloop.association.properties.user_id": "ann",
    "gen_ai.usage.prompt_tokens": 12,
    "gen_ai.usage.completion_tokens": 4,
    "llm.usage.total_tokens": 16,
    "gen_ai.prompt.0.role": "system",
    "gen_ai.prompt.0.content": "Be brief",
    "gen_ai.prompt.1.role": "user",
    "gen_ai.prompt.1.content": json.dumps([{"type": "text", "text": "Is it warm in Lisbon?"}]),
    "gen_ai.completion.0.role": "assistant",
    "gen_ai.completion.0.content": "It is.",
    "gen_ai.completion.0.finish_reason": "stop",
}


def row(attributes: dict[str, Any], events: list[tuple[str, dict[str, Any]]] | None = None) -> dict[str, Any]:
    return row_of_span(span(attributes=attributes, events=events or [], name="chat gpt-4o-mini"))


def row_of_span(made: trace_pb2.Span) -> dict[str, Any]:
    (log,) = raw_logs(read(made)).logs
    return row_of(log)


@pytest.mark.parametrize(
    ("attributes", "events"),
    [
        (GENAI | GENAI_MESSAGES, []),
        (GENAI, [("gen_ai.client.inference.operation.details", GENAI_MESSAGES)]),
        (GENAI, MESSAGE_EVENTS),
        (GENAI, JSON_EVENTS),
        (GENAI, CONTENT_EVENTS),
        (OPENINFERENCE, []),
        (OPENINFERENCE_VALUES, []),
        (OPENLLMETRY, []),
    ],
    ids=[
        "gen_ai attributes", "gen_ai details event", "gen_ai message events", "gen_ai message events in JSON",
        "gen_ai content events", "OpenInference messages", "OpenInference values", "OpenLLMetry",
    ],
)  # fmt: skip
def test_what_was_asked_and_answered_is_told_alike(
    attributes: dict[str, Any], events: list[tuple[str, dict[str, Any]]]
) -> None:
    task = row(attributes, events)

    told = {name: task[name] for name in ("input", "output", "system_prompt", "session_id", "user_id", "version_id")}
    assert told == {
        "input": "Is it warm in Lisbon?" + ("\n[image]" if "contents" in str(attributes) else ""),
        "output": "It is.",
        "system_prompt": "Be brief",
        "session_id": "c-1",
        "user_id": "ann",
        "version_id": "1.2",
    }
    figures = (task["model"], task["tokens_in"], task["tokens_out"], task["latency_ms"])
    assert figures == ("gpt-4o-mini", 12, 4, 100.0)
    assert task["created_at"] == "2026-02-02T02:40:00.000Z"


TOOL_CALLS: list[tuple[dict[str, Any], list[tuple[str, dict[str, Any]]]]] = [
    (
        GENAI
        | {
            "gen_ai.output.messages": json.dumps(
                [
                    {
                        "role": "assistant",
                        "parts": [
                            {"type": "reasoning", "content": "I must look."},
                            {"type": "tool_call", "id": "call_1", "name": "weather", "arguments": {"city": "Lisbon"}},
                        ],
                    }
                ]
            )
        },
        [],
    ),
    (GENAI, [("gen_ai.choice", {"message": json.dumps({"tool_calls": [CALL]})})]),
    (GENAI, [("gen_ai.choice", {"tool_calls": json.dumps([CALL]), "message": ""})]),
    (
        {
            "openinference.span.kind": "LLM",
            "llm.output_messages.0.message.role": "assistant",
            "llm.output_messages.0.message.tool_calls.0.tool_call.id": "call_1",
            "llm.output_messages.0.message.tool_calls.0.tool_call.function.name": "weather",
            "llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments": '{"city": "Lisbon"}',
        },
        [],
    ),
    (
        {
            "llm.request.type": "chat",
            "gen_ai.completion.0.role": "assistant",
            "gen_ai.completion.0.tool_calls.0.id": "call_1",
            "gen_ai.completion.0.tool_calls.0.name": "weather",
            "gen_ai.completion.0.tool_calls.0.arguments": '{"city": "Lisbon"}',
        },
        [],
    ),
]


@pytest.mark.parametrize(("attributes", "events"), TOOL_CALLS)
def test_an_answer_that_only_calls_a_tool_is_the_call(
    attributes: dict[str, Any], events: list[tuple[str, dict[str, Any]]]
) -> None:
    assert row(attributes, events)["output"] == 'weather({"city": "Lisbon"})'


def test_the_result_of_a_tool_is_not_what_the_user_asked() -> None:
    messages = [
        {"role": "user", "parts": [{"type": "text", "content": "Is it warm?"}]},
        {"role": "assistant", "parts": [{"type": "tool_call", "id": "1", "name": "weather", "arguments": {}}]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "1", "response": {"celsius": 31}}]},
    ]

    task = row(GENAI | {"gen_ai.input.messages": json.dumps(messages)})

    assert task["input"] == "Is it warm?"
    assert json.loads(task["raw_input"])[2:] == [{"role": "tool", "tool_call_id": "1", "content": '{"celsius":31}'}]


def test_first_answer_with_content_is_the_output_and_all_are_kept() -> None:
    messages = [
        {"role": "assistant", "parts": [{"type": "reasoning", "content": "Hm."}]},
        {"role": "assistant", "parts": [{"type": "text", "content": "Yes."}]},
        {"role": "assistant", "parts": [{"type": "text", "content": "No."}]},
    ]

    task = row(GENAI | {"gen_ai.output.messages": json.dumps(messages)})

    assert task["output"] == "Yes."
    assert len(json.loads(task["raw_output"])) == 3


def test_the_bytes_of_a_picture_are_no_text() -> None:
    parts = [{"type": "text", "content": "What is it?"}, {"type": "blob", "modality": "image", "content": "aGVsbG8="}]

    task = row(GENAI | {"gen_ai.input.messages": json.dumps([{"role": "user", "parts": parts}])})

    assert task["input"] == "What is it?\n[blob]"
    assert "aGVsbG8=" not in task["raw_input"]


def test_messages_come_in_the_order_of_their_index() -> None:
    named = {f"llm.input_messages.{number}.message.content": str(number) for number in (10, 9, 2)}
    strange = {f"llm.input_messages.{name}.message.content": "no" for name in ("9" * 5_000, "-1", "x", "")}

    (log,) = raw_logs(read(span(attributes={"openinference.span.kind": "LLM"} | named | strange))).logs

    assert [message["content"] for message in log["input"]] == ["2", "9", "10"]


def test_messages_may_be_structured_values_in_place_of_json() -> None:
    messages = [{"role": "user", "parts": [{"type": "text", "content": "Hello"}]}]

    assert row(GENAI | {"gen_ai.input.messages": messages})["input"] == "Hello"


def test_a_text_that_looks_like_json_and_is_none_stays_what_it_is() -> None:
    assert row({"openinference.span.kind": "LLM", "input.value": "[sic] hello"})["input"] == "[sic] hello"


@pytest.mark.parametrize(
    "attributes",
    [
        {"llm.prompts.0.prompt.text": "Once upon", "llm.choices.0.completion.text": "a time"},
        {"gen_ai.prompt": "Once upon", "gen_ai.completion": "a time"},
        {"traceloop.entity.input": "Once upon", "traceloop.entity.output": '"a time"'},
        {
            "gen_ai.operation.name": "chat.streaming_completions",
            "gen_ai.prompt": "Once upon",
            "gen_ai.completion": "a time",
        },
        {
            "openinference.span.kind": "LLM",
            "llm.input_messages.0.message.role": "user",
            "llm.input_messages.0.message.content": '[{"type": "text", "text": "Once upon"}]',
            "llm.output_messages.0.message.content": "a time",
        },
        {"ai.prompt.messages": '[{"role":"user","content":"Once upon"}]', "ai.response.text": "a time"},
    ],
)
def test_a_completion_is_a_task(attributes: dict[str, Any]) -> None:
    task = row({"gen_ai.request.model": "davinci"} | attributes)

    assert (task["input"], task["output"]) == ("Once upon", "a time")


def test_a_call_whose_content_was_not_captured_is_a_task_without_text() -> None:
    task = row(GENAI)

    assert (task["input"], task["output"], task["tokens_in"]) == ("", "", 12)


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"http.request.method": "POST"},
        {"openinference.span.kind": "CHAIN", "llm.model_name": "gpt-4o"},
        {"gen_ai.operation.name": "embeddings", "gen_ai.request.model": "embedder"},
        {"gen_ai.operation.name": "invoke_agent", "gen_ai.request.model": "gpt-4o"},
        {"gen_ai.operation.name": "execute_tool"},
        {"traceloop.span.kind": "workflow"},
        {"llm.request.type": "embedding", "gen_ai.request.model": "embedder"},
    ],
)
def test_what_calls_no_model_for_a_text_is_no_task(attributes: dict[str, Any]) -> None:
    translation = raw_logs(read(span(attributes=attributes)))

    assert (translation.logs, len(translation.loose_steps) + translation.unattached) == ([], 1)


def test_an_error_is_told_with_its_type() -> None:
    exception = {
        "exception.type": "openai.RateLimitError",
        "exception.message": "slow down",
        "exception.stacktrace": "x",
    }

    task = row_of_span(span(attributes=GENAI, events=[("exception", exception)], error="429: slow down"))

    assert task["metadata"]["error"] == {"type": "openai.RateLimitError", "message": "429: slow down"}
    assert task["output"] == ""


def test_what_upstreams_tracer_adds_is_read() -> None:
    added = {"phospho.session_id": "c-2", "phospho.metadata.plan": "pro", "phospho.task_id": "t-1"}

    task = row(GENAI | added)

    assert (task["session_id"], task["metadata"]["plan"]) == ("c-2", "pro")
    assert task["metadata"]["attributes"]["phospho.task_id"] == "t-1"


def test_the_ai_sdk_of_vercel_is_read() -> None:
    call = {
        "ai.operationId": "ai.generateText.doGenerate",
        "gen_ai.request.model": "gpt-4o-mini",
        "ai.prompt.messages": '[{"role":"user","content":[{"type":"text","text":"Hello"}]}]',
        "ai.response.text": "Hi",
        "ai.telemetry.metadata.sessionId": "c-3",
        "ai.telemetry.metadata.userId": "ben",
    }
    tool = {"ai.operationId": "ai.toolCall", "ai.toolCall.name": "weather", "ai.toolCall.result": "31"}

    (log,) = raw_logs(read(span(1, attributes=call), span(2, attributes=tool))).logs

    task = row_of(log)
    assert [task[name] for name in ("input", "output", "session_id", "user_id")] == ["Hello", "Hi", "c-3", "ben"]
    (step,) = task["metadata"]["steps"]
    assert (step["name"], step["kind"], step["output"]) == ("weather", "tool", "31")


def test_what_the_app_added_is_metadata_and_what_nobody_knows_an_attribute() -> None:
    added = {
        "metadata": json.dumps({"tenant": "north"}),
        "tag.tags": ["beta"],
        "traceloop.association.properties.plan": "pro",
        "gen_ai.request.temperature": 0.5,
        "my.own": {"deep": [1, True]},
    }

    metadata = row(GENAI | added)["metadata"]

    assert {name: metadata[name] for name in ("tenant", "tags", "plan")} == {
        "tenant": "north",
        "tags": ["beta"],
        "plan": "pro",
    }
    assert metadata["attributes"] == {
        "gen_ai.provider.name": "openai",
        "gen_ai.request.temperature": 0.5,
        "my.own": {"deep": [1, True]},
    }
    assert metadata["resource"] == {"service.name": "shop", "service.version": "1.2"}
