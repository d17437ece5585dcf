"""Calls of models as steps: `init(tracing=True)`, in a tracer, by decorator, and outside of traces."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import phospho
from fixtures.model_server import MODEL, TOKENS_IN, TOKENS_OUT, ModelServer
from phospho.integrations.openai import unwrap_openai

openai = pytest.importorskip("openai")

MESSAGES: Any = [{"role": "system", "content": "Obey"}, {"role": "user", "content": "Say hi"}]


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


def test_steps_of_a_log_are_kept_as_given(recorded: phospho.RecordingTransport) -> None:
    steps = [{"kind": "tool", "name": "search", "input": "q", "output": ["d"], "latency_ms": 3.5}]

    phospho.log(input="why?", steps=steps)
    phospho.flush()

    assert recorded.logs[0]["steps"] == steps
