"""Calls of models as steps: `init(tracing=True)`, in a tracer, by decorator, and outside of traces."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import phospho
from fixtures.providers.model_server import MODEL, TOKENS_IN, TOKENS_OUT, ModelServer
from phospho.integrations.openai import unwrap_openai

openai = pytest.importorskip("openai")

MESSAGES: Any = [{"role": "system", "content": "Obey"}, {"role": "user", "content": "Say hi"}]


STREAMED: Any = {"model": MODEL, "messages": MESSAGES, "stream": True, "stream_options": {"include_usage": True}}


@pytest.fixture
def provider() -> Iterator[ModelServer]:
    server = ModelServer()
    yield server
    server.close()


@pytest.fixture
def recorded() -> Iterator[phospho.RecordingTransport]:
    transport = phospho.RecordingTransport()
    phospho.init(transport=transport, tracing=True)
    yield transport
    unwrap_openai()


def test_calls_are_steps_of_the_next_log(provider: ModelServer, recorded: phospho.RecordingTransport) -> None:
    chat = openai.OpenAI(api_key="k", base_url=provider.url + "/v1", max_retries=0).chat.completions

    def ask() -> Any:
        return chat.create(model=MODEL, messages=MESSAGES)

    outside = ask()
    assert len(phospho.spans_to_export) == 1
    phospho.log(input=MESSAGES, output=outside)
    assert phospho.spans_to_export == []

    with phospho.tracer() as trace:
        inside = ask()
        assert len(trace.spans_to_export) == 1
        assert phospho.log(input=MESSAGES, output=inside)["task_id"] == trace.task_id

    @phospho.tracer()
    def answer() -> None:
        provider.mode = "error"
        with pytest.raises(openai.BadRequestError):
            ask()
        phospho.log(input=MESSAGES, output="Sorry.")

    answer()

    assert phospho.flush().is_complete
    first, second, failed = (log["steps"] for log in recorded.logs)
    assert [len(first), len(second), len(failed)] == [1, 1, 1]
    assert (first[0]["kind"], first[0]["output"], first[0]["model"]) == ("llm", "Hello!", MODEL)
    assert (first[0]["tokens_in"], first[0]["tokens_out"]) == (TOKENS_IN, TOKENS_OUT)
    assert failed[0]["error"]["type"] == "BadRequestError"
    assert failed[0]["latency_ms"] > 0


def client_of(provider: ModelServer) -> Any:
    return openai.OpenAI(api_key="k", base_url=provider.url + "/v1", max_retries=0)


def figures(step: dict[str, Any]) -> tuple[Any, ...]:
    return step["output"], step.get("model"), step.get("tokens_in"), step.get("tokens_out")


ANSWER = ("Hello!", MODEL, TOKENS_IN, TOKENS_OUT)


def test_streamed_call_is_a_whole_step(provider: ModelServer, recorded: phospho.RecordingTransport) -> None:
    chat = client_of(provider).chat.completions

    with phospho.tracer():
        with chat.stream(model=MODEL, messages=MESSAGES, stream_options={"include_usage": True}) as events:
            events.until_done()
        list(chat.create(**STREAMED))
        list(chat.with_raw_response.create(**STREAMED).parse())
        chat.with_raw_response.create(model=MODEL, messages=MESSAGES)
        phospho.log(input="Say hi", output="Hello!")
    phospho.flush()

    [log] = recorded.logs
    assert [figures(step) for step in log["steps"]] == [ANSWER] * 4
    assert len({step["span_id"] for step in log["steps"]}) == 4


def test_log_of_a_stream_has_its_step(provider: ModelServer, recorded: phospho.RecordingTransport) -> None:
    chat = client_of(provider).chat.completions

    stream = chat.create(**STREAMED)
    phospho.log(input="Say hi", output=stream, stream=True)
    chat.create(model=MODEL, messages=MESSAGES)
    list(stream)
    phospho.log(input="Say hi", output="Hello!")
    phospho.flush()

    first, second = recorded.logs
    assert (first["output"], first["tokens_out"]) == ("Hello!", TOKENS_OUT)
    assert [figures(step) for step in first["steps"]] == [ANSWER] == [figures(step) for step in second["steps"]]


@pytest.mark.parametrize("is_sent", [False, True])
def test_step_after_the_log_joins_its_task(
    provider: ModelServer, recorded: phospho.RecordingTransport, is_sent: bool
) -> None:
    chat = client_of(provider).chat.completions

    with phospho.tracer():
        late = chat.create(**STREAMED)
        phospho.log(input="Say hi", output="Hello!", team="blue")
        if is_sent:
            phospho.flush()
        chat.create(model=MODEL, messages=MESSAGES)
    list(late)
    phospho.flush()

    log = recorded.logs[-1]
    assert (log["task_id"], log["output"], log["team"]) == (recorded.logs[0]["task_id"], "Hello!", "blue")
    assert [figures(step) for step in log["steps"]] == [ANSWER] * 2


def test_trace_without_a_log_keeps_its_steps_apart(
    provider: ModelServer, recorded: phospho.RecordingTransport, caplog: pytest.LogCaptureFixture
) -> None:
    chat = client_of(provider).chat.completions

    with phospho.tracer():
        chat.create(model=MODEL, messages=MESSAGES)
    phospho.log(input="other", output="task")
    with phospho.tracer():
        with phospho.tracer():
            chat.create(model=MODEL, messages=MESSAGES)
        phospho.log(input="Say hi", output="Hello!")
    phospho.flush()

    assert [len(log.get("steps", [])) for log in recorded.logs] == [0, 1]
    assert sum("a trace ended without phospho.log" in message for message in caplog.messages) <= 1


def test_embedding_and_anthropics_helper_are_steps(provider: ModelServer) -> None:
    anthropic = pytest.importorskip("anthropic")
    recorded = phospho.RecordingTransport()
    phospho.init(transport=recorded, tracing=True)
    with phospho.tracer():
        client_of(provider).embeddings.create(model=MODEL, input="hi")
        messages = anthropic.Anthropic(api_key="k", base_url=provider.url, max_retries=0).messages
        with messages.stream(model=MODEL, max_tokens=9, messages=[{"role": "user", "content": "hi"}]) as stream:
            stream.until_done()
        phospho.log(input="Say hi", output="Hello!")
    phospho.flush()
    unwrap_openai()

    [log] = recorded.logs
    embedding, answer = log["steps"]
    assert (embedding["kind"], embedding["model"], embedding["tokens_in"]) == ("embedding", MODEL, TOKENS_IN)
    assert "output" not in embedding
    assert figures(answer) == ANSWER


def test_auto_log_replaces_tracing(provider: ModelServer, recorded: phospho.RecordingTransport) -> None:
    phospho.init(transport=recorded, auto_log=True)

    client_of(provider).chat.completions.create(model=MODEL, messages=MESSAGES)
    phospho.flush()

    assert [log["output"] for log in recorded.logs] == ["Hello!"]


def test_generator_keeps_its_steps_between_its_values(
    provider: ModelServer, recorded: phospho.RecordingTransport
) -> None:
    chat = client_of(provider).chat.completions

    @phospho.trace
    def answer() -> Iterator[str]:
        chat.create(model=MODEL, messages=MESSAGES)
        yield "Hel"
        chat.create(model=MODEL, messages=MESSAGES)
        phospho.log(input="Say hi", output="Hello!")
        yield "lo!"
        chat.create(model=MODEL, messages=MESSAGES)

    assert "".join(answer()) == "Hello!"
    phospho.flush()

    assert len(recorded.logs[-1]["steps"]) == 3


def test_steps_of_a_log_are_kept_as_given(recorded: phospho.RecordingTransport) -> None:
    steps = [{"kind": "tool", "name": "search", "input": "q", "output": ["d"], "latency_ms": 3.5}]

    phospho.log(input="why?", steps=steps)
    phospho.flush()

    assert recorded.logs[0]["steps"] == steps
