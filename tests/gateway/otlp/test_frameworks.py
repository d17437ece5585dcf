"""Spans of single frameworks, and spans whose content is not as the conventions want it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from phospho_gateway.otlp import conventions
from phospho_gateway.otlp.translation import raw_logs

from .making import chat, read, row_of, span

CALL = {"id": "t1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}
ASKED = [{"role": "user", "parts": [{"type": "text", "content": "Weather in Oslo?"}]}]


def row(attributes: Mapping[str, Any], events: list[tuple[str, dict[str, Any]]] | None = None) -> dict[str, Any]:
    (log,) = raw_logs(read(span(attributes=attributes, events=events or []))).logs
    return row_of(log)


def chat_row(attributes: Mapping[str, Any], events: list[tuple[str, dict[str, Any]]] | None = None) -> dict[str, Any]:
    return row({"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"} | dict(attributes), events)


def output_calls(task: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return the calls of tools that the answer of a task made, from its raw output."""
    answer = json.loads(task["raw_output"])
    calls = [call["function"] for call in answer["tool_calls"]]
    return [(call["name"], json.loads(call["arguments"])) for call in calls]


ADK_REQUEST = {
    "model": "gemini-2.5-flash",
    "config": {"system_instruction": "Be brief.", "tools": []},
    "contents": [
        {"role": "user", "parts": [{"text": "Weather in Oslo?"}]},
        {"role": "model", "parts": [{"function_call": {"name": "weather", "args": {"city": "Oslo"}}}]},
        {"role": "user", "parts": [{"function_response": {"name": "weather", "response": {"celsius": 3}}}]},
    ],
}
ADK_RESPONSE = {
    "content": {"role": "model", "parts": [{"text": "Hm.", "thought": True}, {"text": "3 degrees."}]},
    "usage_metadata": {"prompt_token_count": 12, "candidates_token_count": 6, "thoughts_token_count": 2},
}
ADK = {
    "gen_ai.system": "gcp.vertex.agent",
    "gen_ai.request.model": "gemini-2.5-flash",
    "gcp.vertex.agent.session_id": "adk-1",
    "gcp.vertex.agent.llm_request": json.dumps(ADK_REQUEST),
    "gcp.vertex.agent.llm_response": json.dumps(ADK_RESPONSE),
}


def test_googles_adk_is_read() -> None:
    task = row(ADK)

    assert (task["input"], task["output"], task["system_prompt"]) == ("Weather in Oslo?", "3 degrees.", "Be brief.")
    assert (task["session_id"], task["model"]) == ("adk-1", "gemini-2.5-flash")
    assert (task["tokens_in"], task["tokens_out"]) == (12, 8)
    assert "gcp.vertex.agent.llm_request" not in task["metadata"]["attributes"]


def test_an_adk_call_of_a_tool_is_the_answer() -> None:
    call = {"content": {"role": "model", "parts": [{"function_call": {"name": "weather", "args": {"city": "Oslo"}}}]}}

    task = row(ADK | {"gcp.vertex.agent.llm_response": json.dumps(call)})

    assert output_calls(task) == [("weather", {"city": "Oslo"})]
    assert task["output"]


def test_an_adk_tool_is_a_step_with_arguments_and_result() -> None:
    tool = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "weather",
        "gcp.vertex.agent.llm_request": "{}",
        "gcp.vertex.agent.tool_call_args": '{"city": "Oslo"}',
        "gcp.vertex.agent.tool_response": '{"celsius": 3}',
    }

    (log,) = raw_logs(read(span(1, attributes=ADK), span(2, attributes=tool))).logs

    (step,) = log["metadata"]["steps"]
    assert (step["kind"], step["input"], step["output"]) == ("tool", '{"city": "Oslo"}', '{"celsius": 3}')


LOGFIRE_EVENTS = [
    {"event.name": "gen_ai.system.message", "content": "Be brief.", "role": "system"},
    {"event.name": "gen_ai.user.message", "content": "Weather in Oslo?", "role": "user"},
    {"event.name": "gen_ai.choice", "index": 0, "message": {"role": "assistant", "content": "3 degrees."}},
]
REQUEST_DATA = {
    "model": "m",
    "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Weather in Oslo?"}],
}


@pytest.mark.parametrize(
    "attributes",
    [
        {"events": json.dumps(LOGFIRE_EVENTS)},
        {
            "request_data": json.dumps(REQUEST_DATA),
            "response_data": json.dumps({"message": {"role": "assistant", "content": "3 degrees."}}),
        },
        {
            "request_data": json.dumps(REQUEST_DATA),
            "response_data": json.dumps({"combined_chunk_content": "3 degrees.", "chunk_count": 2}),
        },
    ],
    ids=["events", "request and response", "streamed"],
)
def test_logfire_is_read(attributes: dict[str, Any]) -> None:
    task = row({"gen_ai.request.model": "m"} | attributes)

    assert (task["input"], task["output"], task["system_prompt"]) == ("Weather in Oslo?", "3 degrees.", "Be brief.")


def test_a_logfire_choice_that_calls_a_tool_is_the_call() -> None:
    choice = {"event.name": "gen_ai.choice", "message": {"role": "assistant", "tool_calls": [CALL]}}

    assert output_calls(chat_row({"events": json.dumps([choice])})) == [("weather", {"city": "Oslo"})]


VERCEL = {
    "ai.operationId": "ai.generateObject.doGenerate",
    "ai.model.id": "gpt-4o-mini",
    "ai.prompt.messages": '[{"role":"user","content":[{"type":"text","text":"Who is it?"}]}]',
    "ai.usage.promptTokens": 11,
    "ai.usage.completionTokens": 7,
}


def test_the_object_of_the_ai_sdk_is_the_answer_as_it_stands() -> None:
    """Even if it has fields by which other answers are recognised."""
    task = row(VERCEL | {"ai.response.object": '{"name":"Ann","text":"not the answer"}'})

    assert task["output"] == '{"name":"Ann","text":"not the answer"}'
    assert (task["model"], task["tokens_in"], task["tokens_out"]) == ("gpt-4o-mini", 11, 7)


@pytest.mark.parametrize(
    "call",
    [
        {"toolCallType": "function", "toolCallId": "t1", "toolName": "weather", "args": '{"city": "Oslo"}'},
        {"type": "tool-call", "toolCallId": "t1", "toolName": "weather", "input": '{"city": "Oslo"}'},
        {"toolCallId": "t1", "toolName": "weather", "input": {"city": "Oslo"}},
    ],
    ids=["AI SDK 4", "AI SDK 5", "parsed"],
)
def test_calls_of_tools_of_the_ai_sdk_are_the_answer(call: dict[str, Any]) -> None:
    task = row(VERCEL | {"ai.response.toolCalls": json.dumps([call])})

    assert output_calls(task) == [("weather", {"city": "Oslo"})]
    assert json.loads(task["raw_output"])["tool_calls"] == [CALL]


def test_calls_of_the_ai_sdk_do_not_hide_its_text() -> None:
    call = {"toolCallId": "t1", "toolName": "weather", "input": {"city": "Oslo"}}

    task = row(VERCEL | {"ai.response.text": "I look.", "ai.response.toolCalls": json.dumps([call])})

    assert task["output"].splitlines()[0] == "I look."
    assert output_calls(task) == [("weather", {"city": "Oslo"})]


def test_parts_of_bedrock_are_read() -> None:
    events = [
        ("gen_ai.user.message", {"content": json.dumps([{"text": "Weather in Oslo?"}])}),
        (
            "gen_ai.assistant.message",
            {"content": json.dumps([{"toolUse": {"toolUseId": "t1", "name": "weather", "input": {}}}])},
        ),
        (
            "gen_ai.tool.message",
            {"content": json.dumps([{"toolResult": {"toolUseId": "t1", "content": [{"text": "3 degrees"}]}}])},
        ),
        (
            "gen_ai.choice",
            {"message": json.dumps([{"toolUse": {"toolUseId": "t1", "name": "weather", "input": {"city": "Oslo"}}}])},
        ),
    ]

    task = chat_row({}, events)

    assert (task["input"], output_calls(task)) == ("Weather in Oslo?", [("weather", {"city": "Oslo"})])
    assert json.loads(task["raw_input"])[-1] == {"role": "tool", "tool_call_id": "t1", "content": "3 degrees"}


@pytest.mark.parametrize(
    "attributes",
    [
        {
            "langfuse.observation.type": "generation",
            "langfuse.observation.model.name": "m",
            "langfuse.observation.input": json.dumps([{"role": "user", "content": "Hello"}]),
            "langfuse.observation.output": "Hi",
        },
        {
            "mlflow.spanType": '"CHAT_MODEL"',
            "mlflow.spanInputs": json.dumps({"messages": [{"role": "user", "content": "Hello"}]}),
            "mlflow.spanOutputs": json.dumps({"choices": [{"message": {"role": "assistant", "content": "Hi"}}]}),
        },
    ],
    ids=["Langfuse", "MLflow"],
)
def test_langfuse_and_mlflow_are_read(attributes: dict[str, Any]) -> None:
    task = row(attributes)

    assert (task["input"], task["output"]) == ("Hello", "Hi")


@pytest.mark.parametrize(
    "attributes",
    [
        {"langfuse.observation.type": "generation", "langfuse.observation.usage_details": '{"input": 5, "output": 2}'},
        {"mlflow.spanType": '"LLM"', "mlflow.chat.tokenUsage": '{"input_tokens": 5, "output_tokens": 2}'},
        {
            "langfuse.observation.type": "generation",
            "langfuse.observation.usage_details": '{"input": 1, "input_cached_tokens": 4, "output": 2, "total": 7}',
        },
        {
            "mlflow.spanType": '"LLM"',
            "mlflow.chat.tokenUsage": '{"input_tokens": 1, "cache_read_input_tokens": 4, "output_tokens": 2}',
        },
    ],
)
def test_token_counts_in_json_are_read(attributes: dict[str, Any]) -> None:
    task = row(attributes)
    assert (task["tokens_in"], task["tokens_out"]) == (5, 2)


def test_langsmith_is_read_with_its_serialised_messages() -> None:
    def message(name: str, content: str) -> dict[str, Any]:
        return {"lc": 1, "type": "constructor", "id": ["langchain", name], "kwargs": {"content": content}}

    prompt = {"messages": [[message("SystemMessage", "Be brief."), message("HumanMessage", "Hello")]]}
    answer = {"generations": [[{"text": "Hi", "message": message("AIMessage", "Hi")}]]}
    attributes = {"gen_ai.prompt": json.dumps(prompt), "gen_ai.completion": json.dumps(answer)}

    task = row({"langsmith.span.kind": "llm", "langsmith.metadata.session_id": "c-9"} | attributes)

    assert [task[name] for name in ("input", "output", "system_prompt", "session_id")] == [
        "Hello", "Hi", "Be brief.", "c-9",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("provider", "model", "role", "text"),
    [
        ("openai", "gpt-5", "unknown", "Hel\nlo!"),
        ("gcp.vertex_ai", "claude-sonnet-4", "assistant", "Hel\nlo!"),
        ("gcp.vertex_ai", "gemini-2.5-flash", "assistant", "Hello!"),
        ("gcp.gemini", "tuned-model", "assistant", "Hello!"),
        ("", "models/gemini-2.5-pro", "model", "Hello!"),
    ],
)
def test_parts_of_an_answer_are_joined_as_its_model_cuts_them(provider: str, model: str, role: str, text: str) -> None:
    """OpenLLMetry calls the role of LangChain's chunks unknown."""
    parts = [{"type": "text", "content": piece} for piece in ("Hel", "lo!")]
    messages = json.dumps([{"role": role, "parts": parts}])
    attributes = {"gen_ai.provider.name": provider, "gen_ai.request.model": model, "gen_ai.output.messages": messages}
    assert chat_row(attributes)["output"] == text


def test_calls_beside_the_parts_of_a_message_are_kept() -> None:
    parts = [{"type": "tool_call", "id": "t1", "name": "weather", "arguments": {"city": "Oslo"}}]
    beside = {"id": "t2", "name": "time", "arguments": {"zone": "CET"}}
    answer = [{"role": "assistant", "parts": parts, "tool_calls": [CALL, beside]}]

    task = chat_row({"gen_ai.output.messages": json.dumps(answer)})

    assert output_calls(task) == [("weather", {"city": "Oslo"}), ("time", {"zone": "CET"})]


def test_call_beside_the_same_call_in_parts_counts_once() -> None:
    parts = [{"type": "tool_call", "id": "t1", "name": "weather", "arguments": '{"city":"Oslo"}'}]
    answer = [{"role": "assistant", "parts": parts, "tool_calls": [CALL]}]

    assert output_calls(chat_row({"gen_ai.output.messages": json.dumps(answer)})) == [("weather", {"city": "Oslo"})]


@pytest.mark.parametrize("field", ["content", "refusal"])
def test_refusal_is_text(field: str) -> None:
    answer = [{"role": "assistant", "parts": [{"type": "refusal", field: "No."}]}]

    assert chat_row({"gen_ai.output.messages": json.dumps(answer)})["output"] == "No."


@pytest.mark.parametrize("kind", ["reasoning", "thinking"])
def test_thoughts_are_no_answer(kind: str) -> None:
    parts = [{"type": kind, "content": "Secret."}, {"type": "text", "content": "3 degrees."}]

    task = chat_row({"gen_ai.output.messages": json.dumps([{"role": "assistant", "parts": parts}])})

    assert task["output"] == "3 degrees."


CUT = json.dumps(ASKED)[:50]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (CUT, CUT),
        ("Weather in Oslo?", "Weather in Oslo?"),
        (json.dumps(ASKED[0]), "Weather in Oslo?"),
        (json.dumps({"messages": ASKED}), "Weather in Oslo?"),
        (json.dumps(["Weather in Oslo?"]), "Weather in Oslo?"),
        (json.dumps([{"role": "user", "parts": "Weather in Oslo?"}]), "Weather in Oslo?"),
        (json.dumps([{"role": "user", "parts": ["Weather in Oslo?"]}]), "Weather in Oslo?"),
        ({"role": "user", "content": "Weather in Oslo?"}, "Weather in Oslo?"),
    ],
    ids=["cut", "text", "one message", "object", "strings", "text as parts", "text as part", "structured"],
)
@pytest.mark.parametrize("side", ["input", "output"])
def test_messages_of_any_form_keep_their_text(side: str, value: Any, text: str) -> None:
    written = json.loads(json.dumps(value).replace("user", "user" if side == "input" else "assistant"))
    expected = text.replace("user", "user" if side == "input" else "assistant")

    assert chat_row({f"gen_ai.{side}.messages": written})[side] == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("langfuse.observation.input", '[{"role": "user", "content": "Weath'),
        ("langfuse.observation.output", '"It is 3 deg'),
        ("mlflow.spanInputs", '{"messages": [{"role"'),
        ("mlflow.spanOutputs", '"{\\"choices\\": ['),
        ("traceloop.entity.input", '{"inputs": {"question": "Wea'),
        ("input.value", '{"messages": [{"role"'),
        ("output.value", '{"choices": [{"role"'),
        ("ai.prompt", '{"messages": [{"role"'),
        ("ai.response.object", '{"name": "An'),
        ("llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments", '{"city": "Os'),
        ("gen_ai.completion.0.tool_calls.0.arguments", '{"city": "Os'),
        ("gen_ai.prompt.0.content", '[{"type": "text", "text": "Wea'),
        ("request_data", '{"messages": [{"role"'),
        ("request_data", '{"unknown": "shape"}'),
        ("events", '[{"event.name": "gen_ai.user.mess'),
        ("gcp.vertex.agent.llm_request", '{"unknown": "shape"}'),
        ("gen_ai.usage.input_tokens", "many"),
        ("llm.token_count.completion", -1),
        ("gen_ai.usage.output_tokens", 2.5),
        ("gen_ai.usage.cache_read.input_tokens", "n/a"),
        ("mlflow.chat.tokenUsage", '{"input_tok'),
        ("langfuse.observation.usage_details", "17"),
    ],
)
def test_attribute_that_cannot_be_read_is_kept_and_counted(name: str, value: Any) -> None:
    translation = raw_logs(read(chat(attributes={name: value})))

    (log,) = translation.logs
    assert translation.unread == {name: 1}
    assert log["metadata"]["attributes"][name] == value


@pytest.mark.parametrize(
    "attributes",
    [
        {"input.value": '{"messages": [{"role"', "llm.input_messages.0.message.content": "Weather?"},
        {"llm.output_messages.0.message.content": '{"an answer": "that ends'},
        {"output.value": '{"a": 1}', "output.mime_type": "application/json"},
        {"gcp.vertex.agent.llm_request": "{}", "gen_ai.usage.input_tokens": "17", "events": "[]"},
        {"output.value": '{"a text', "output.mime_type": "text/plain", "gen_ai.usage.output_tokens": ""},
        {"mlflow.trace.user": '""', "langfuse.observation.output": '"a text"'},
    ],
)
def test_attributes_that_can_be_read_are_not_counted(attributes: dict[str, Any]) -> None:
    assert raw_logs(read(chat(attributes=attributes))).unread == {}


@pytest.mark.parametrize("name", ["gen_ai.event.content", "event_body", "body"])
def test_body_of_an_event_may_be_an_attribute(name: str) -> None:
    events = [
        ("gen_ai.user.message", {name: json.dumps({"content": "Weather?"})}),
        ("gen_ai.choice", {name: json.dumps({"index": 0, "message": {"content": "Rain."}})}),
    ]

    (log,) = raw_logs(read(chat(events=events))).logs
    row = row_of(log)

    assert (row["input"], row["output"]) == ("Weather?", "Rain.")


def test_empty_text_of_mlflow_ends_no_search() -> None:
    attributes = {"mlflow.llm.model": '""', "ai.model.id": "m"}

    assert conventions.first_text(attributes, ("mlflow.llm.model", "ai.model.id")) == "m"


def test_cut_messages_stay_among_the_attributes_and_are_counted() -> None:
    translation = raw_logs(read(chat(attributes={"gen_ai.input.messages": CUT, "gen_ai.output.messages": "Hello"})))

    assert translation.unread == {"gen_ai.input.messages": 1}
    (log,) = translation.logs
    assert log["metadata"]["attributes"]["gen_ai.input.messages"] == CUT
    assert "gen_ai.output.messages" not in log["metadata"]["attributes"]


@pytest.mark.parametrize(
    ("attributes", "kind"),
    [
        ({"gen_ai.operation.name": "rerank"}, "reranker"),
        ({"gen_ai.operation.name": "embeddings"}, "embedding"),
        ({"gen_ai.operation.name": "transcribe"}, "transcribe"),
        ({"llm.request.type": "rerank"}, "reranker"),
        ({"ai.operationId": "ai.embed.doEmbed"}, "embedding"),
        ({"ai.operationId": "ai.generateImage"}, "ai.generateimage"),
        ({"gen_ai.operation.name": "invoke", "llm.request.type": "chat"}, "llm"),
        ({"gen_ai.operation.name": "chat"}, "llm"),
        ({}, "llm"),
    ],
)
def test_an_unknown_operation_with_a_model_is_no_call_for_a_text(attributes: dict[str, Any], kind: str) -> None:
    assert conventions.kind_of({"gen_ai.request.model": "m"} | attributes) == kind


@pytest.mark.parametrize(
    ("value", "tokens"),
    [(25, 25), (25.0, 25), ("25", 25), ("25.0", 25), (2.5, None), (-1, None), ("many", None), (True, None)],
)
def test_token_counts_of_any_type_are_read(value: Any, tokens: int | None) -> None:
    assert chat_row({"gen_ai.usage.input_tokens": value})["tokens_in"] == tokens


@pytest.mark.parametrize(
    ("attributes", "tokens"),
    [
        ({"gen_ai.usage.cache_read.input_tokens": 9_000, "gen_ai.usage.cache_creation.input_tokens": 990}, 10_000),
        ({"gen_ai.usage.cache_read_input_tokens": 9_990}, 10_000),
        ({"llm.token_count.prompt_details.cache_read": "9990"}, 10_000),
        ({"gen_ai.usage.input_tokens": 10_000, "gen_ai.usage.cache_read.input_tokens": 9_990}, 10_000),
    ],
)
def test_tokens_in_include_those_from_the_cache(attributes: dict[str, Any], tokens: int) -> None:
    """Libraries that count them and libraries that don't give the same figure."""
    assert chat_row({"gen_ai.usage.input_tokens": 10} | attributes)["tokens_in"] == tokens


USER_SAYS, MODEL_SAYS = {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yo"}


@pytest.mark.parametrize(
    ("attributes", "events"),
    [
        ({"gen_ai.input.messages": [json.dumps(USER_SAYS)], "gen_ai.output.messages": [json.dumps(MODEL_SAYS)]}, []),
        ({"ai.prompt.messages": [json.dumps(USER_SAYS)], "ai.response.text": "Yo"}, []),
        (
            {
                "gen_ai.input.messages": json.dumps(json.dumps([USER_SAYS])),
                "gen_ai.output.messages": json.dumps(json.dumps([MODEL_SAYS])),
            },
            [],
        ),
        ({"mlflow.spanInputs": '"Hi"', "mlflow.spanOutputs": '"Yo"'}, []),
        ({"langfuse.observation.input": '"Hi"', "langfuse.observation.output": '"Yo"'}, []),
        (
            {},
            [
                ("gen_ai.user.message", {"gen_ai.event.content": "Hi"}),
                ("gen_ai.choice", {"gen_ai.event.content": "Yo"}),
            ],
        ),
    ],
    ids=["a list of JSON", "the AI SDK's list of JSON", "JSON of JSON", "MLflow's text", "Langfuse's text", "events"],
)
def test_text_in_an_odd_encoding_is_read(attributes: dict[str, Any], events: list[tuple[str, dict[str, Any]]]) -> None:
    task = chat_row(attributes, events)

    assert (task["input"], task["output"]) == ("Hi", "Yo")


def test_plain_text_in_quotes_keeps_them() -> None:
    assert chat_row({"gen_ai.prompt": '"Hi"'})["input"] == '"Hi"'


def test_mlflows_ids_are_json() -> None:
    task = row(
        {
            "mlflow.spanType": '"LLM"',
            "mlflow.trace.session": '"s"',
            "mlflow.trace.user": '"u"',
            "mlflow.llm.model": '"m"',
        }
    )

    assert (task["session_id"], task["user_id"], task["model"]) == ("s", "u", "m")


def test_litellms_calls_are_read() -> None:
    task = row(
        {
            "llm.request.type": "acompletion",
            "gen_ai.prompt.0.content": "Hi",
            "gen_ai.completion.0.function_call.name": "weather",
            "gen_ai.completion.0.function_call.arguments": "{}",
        }
    )

    assert (task["input"], task["output"]) == ("Hi", "weather({})")
    assert not raw_logs(read(span(attributes={"llm.request.type": "aembedding", "gen_ai.request.model": "m"}))).logs


def test_logfires_tokens_may_be_in_the_response() -> None:
    task = row({"request_data": "{}", "response_data": '{"usage": {"prompt_tokens": 3, "completion_tokens": 2}}'})

    assert (task["tokens_in"], task["tokens_out"]) == (3, 2)


def test_parts_of_an_adk_answer_are_one_text() -> None:
    response = {"content": {"role": "model", "parts": [{"text": "3 deg"}, {"text": "rees."}]}}

    assert row(ADK | {"gcp.vertex.agent.llm_response": json.dumps(response)})["output"] == "3 degrees."


@pytest.mark.parametrize(
    ("attributes", "events"),
    [
        ({"gen_ai.prompt": ["Weather?"], "gen_ai.completion": ["3 degrees."]}, []),
        ({"gen_ai.prompt": '["Be brief.", "Weather?"]', "gen_ai.completion": '["3 degrees."]'}, []),
        (
            {},
            [
                ("gen_ai.content.prompt", {"gen_ai.prompt": ["Be brief.", "Weather?"]}),
                ("gen_ai.content.completion", {"gen_ai.completion": ["3 degrees.", "It is cold."]}),
            ],
        ),
    ],
    ids=["list", "JSON", "events"],
)
def test_spring_ai_lists_of_texts_are_read(
    attributes: dict[str, Any], events: list[tuple[str, dict[str, Any]]]
) -> None:
    task = chat_row(attributes, events)

    assert (task["input"], task["output"]) == ("Weather?", "3 degrees.")
    assert ("Be brief." in task["raw_input"]) == ("Be brief." in str((attributes, events)))
    assert ("It is cold." in task["raw_output"]) == bool(events)


def test_lists_of_texts_in_other_attributes_are_kept_whole() -> None:
    questions, paragraphs = ["I need help with my order", "number 12345"], ["First paragraph.", "Second paragraph."]

    task = row({"openinference.span.kind": "LLM", "input.value": json.dumps(questions), "output.value": paragraphs})

    assert all(text in task["input"] for text in questions)
    assert all(text in task["output"] for text in paragraphs)


ENTITY_MESSAGES = {"messages": [{"role": "user", "content": "Weather?"}]}
LANGCHAIN_ANSWER = {
    "lc": 1,
    "type": "constructor",
    "id": ["langchain", "AIMessage"],
    "kwargs": {"content": "3 degrees."},
}


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        ({"args": [], "kwargs": ENTITY_MESSAGES}, {"role": "assistant", "content": "3 degrees."}),
        ({"args": ["Weather?"], "kwargs": {}}, "3 degrees."),
        ({"inputs": ENTITY_MESSAGES, "tags": [], "kwargs": {}}, {"outputs": "3 degrees.", "kwargs": {}}),
        ({"inputs": ENTITY_MESSAGES}, {"outputs": LANGCHAIN_ANSWER}),
    ],
    ids=["keywords", "an argument", "a chain", "a chain's message"],
)
def test_openllmetry_entities_are_read(sent: Any, answer: Any) -> None:
    task = row(
        {
            "traceloop.span.kind": "llm",
            "traceloop.entity.input": json.dumps(sent),
            "traceloop.entity.output": json.dumps(answer),
        }
    )

    assert (task["input"], task["output"]) == ("Weather?", "3 degrees.")


@pytest.mark.parametrize(
    ("positional", "named", "text"),
    [
        (["Weather?"], {"user_id": "u1"}, "Weather?"),
        ([{"model": "m"}], ENTITY_MESSAGES, "Weather?"),
        (["App", "Why?"], {"user_id": "u1"}, '["App","Why?"]'),
    ],
    ids=["text", "messages", "several texts"],
)
def test_openllmetry_entities_keep_arguments_of_both_kinds(positional: Any, named: Any, text: str) -> None:
    sent = json.dumps({"args": positional, "kwargs": named})

    task = row({"traceloop.span.kind": "llm", "traceloop.entity.input": sent})

    assert task["input"] == text if text == "Weather?" else text in task["input"]
    logged = json.loads(task["raw_input"])
    assert (logged["args"], logged["kwargs"]) == (positional, named)


def test_answer_of_an_agent_is_no_result_of_its_tools() -> None:
    messages = [
        {"role": "assistant", "parts": [{"type": "tool_call", "id": "t1", "name": "weather", "arguments": {}}]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "t1", "response": "3"}]},
        {"role": "assistant", "parts": [{"type": "text", "content": "3 degrees."}]},
    ]

    assert chat_row({"gen_ai.output.messages": json.dumps(messages)})["output"] == "3 degrees."


def test_openinference_message_of_one_part_is_read() -> None:
    part = {"message_content.type": "text", "message_content.text": "3 degrees."}
    prefix = "llm.output_messages.0.message.contents.0."

    task = row({"openinference.span.kind": "LLM"} | {prefix + name: value for name, value in part.items()})

    assert task["output"] == "3 degrees."


@pytest.mark.parametrize("operation", ["Chat ", "chat_completions", "completions", "converse", "invoke_model"])
def test_names_of_calls_that_libraries_make_up_are_calls(operation: str) -> None:
    assert conventions.kind_of({"gen_ai.operation.name": operation}) == "llm"


def test_messages_whose_only_content_is_a_text_are_read() -> None:
    asked, answer = {"role": "user", "text": "Weather?"}, {"role": "assistant", "text": "3 degrees."}

    task = chat_row({"gen_ai.input.messages": json.dumps([asked]), "gen_ai.output.messages": json.dumps(answer)})

    assert (task["input"], task["output"]) == ("Weather?", "3 degrees.")
