"""
The matrix of docs/clients.md: each provider's own library, in each of its ways, against a server on loopback.

Every way of the same answer is one task with the same text, model and token counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import phospho
from fixtures.providers.model_server import MODEL, TEXTS, TOKENS_IN, TOKENS_OUT, ModelServer
from phospho.integrations.openai import unwrap_openai

MESSAGES: Any = [{"role": "user", "content": "Say hello"}]
Call = Callable[[str], None]


@pytest.fixture(scope="module")
def provider() -> Iterator[ModelServer]:
    server = ModelServer()
    yield server
    server.close()


@pytest.fixture
def recorded() -> Iterator[phospho.RecordingTransport]:
    for library in ("anthropic", "google.genai"):
        pytest.importorskip(library)
    transport = phospho.RecordingTransport()
    phospho.init(transport=transport, auto_log=True)
    yield transport
    unwrap_openai()


def openai_ways(url: str, is_azure: bool = False) -> dict[str, Callable[[], Any]]:
    openai = pytest.importorskip("openai")
    client = openai.OpenAI(api_key="k", base_url=url + "/v1", max_retries=0)
    if is_azure:
        client = openai.AzureOpenAI(api_key="k", azure_endpoint=url, api_version="2024-06-01", max_retries=0)
    chat, request = client.chat.completions, {"model": MODEL, "messages": MESSAGES}
    stream = {**request, "stream": True, "stream_options": {"include_usage": True}}

    def helper() -> None:
        with chat.stream(**request, stream_options={"include_usage": True}) as events:
            events.until_done()

    return {"whole": lambda: chat.create(**request), "stream": lambda: list(chat.create(**stream)), "helper": helper}


def responses_ways(url: str) -> dict[str, Callable[[], Any]]:
    openai = pytest.importorskip("openai")
    responses = openai.OpenAI(api_key="k", base_url=url + "/v1", max_retries=0).responses
    request = {"model": MODEL, "input": "Say hello"}

    def helper() -> None:
        with responses.stream(**request) as events:
            events.until_done()

    return {
        "whole": lambda: responses.create(**request),
        "stream": lambda: list(responses.create(**request, stream=True)),
        "helper": helper,
    }


def anthropic_ways(url: str) -> dict[str, Callable[[], Any]]:
    anthropic = pytest.importorskip("anthropic")
    messages = anthropic.Anthropic(api_key="k", base_url=url, max_retries=0).messages
    request = {"model": MODEL, "max_tokens": 9, "messages": MESSAGES}

    def helper() -> None:
        with messages.stream(**request) as events:
            events.get_final_message()

    return {
        "whole": lambda: messages.create(**request),
        "stream": lambda: list(messages.create(**request, stream=True)),
        "helper": helper,
    }


def gemini_ways(url: str) -> dict[str, Callable[[], Any]]:
    genai = pytest.importorskip("google.genai")
    client = genai.Client(api_key="k", http_options={"base_url": url})
    request = {"model": MODEL, "contents": "Say hello"}

    def helper() -> None:
        list(client.chats.create(model=MODEL).send_message_stream("Say hello"))

    return {
        "whole": lambda: client.models.generate_content(**request),
        "stream": lambda: list(client.models.generate_content_stream(**request)),
        "helper": helper,
    }


def ollama_ways(url: str) -> dict[str, Callable[[], Any]]:
    """Ollama has no helper, and is wrapped by hand."""
    client = pytest.importorskip("ollama").Client(host=url)
    chat = phospho.wrap(client.chat)
    return {
        "whole": lambda: chat(model=MODEL, messages=MESSAGES),
        "stream": lambda: list(chat(model=MODEL, messages=MESSAGES, stream=True)),
    }


PROVIDERS: dict[str, Callable[[str], dict[str, Callable[[], Any]]]] = {
    "OpenAI Chat Completions": openai_ways,
    "OpenAI Responses": responses_ways,
    "Azure OpenAI": lambda url: openai_ways(url, is_azure=True),
    "Anthropic": anthropic_ways,
    "Gemini": gemini_ways,
    "Ollama": ollama_ways,
}


@pytest.mark.parametrize("name", PROVIDERS)
@pytest.mark.parametrize("mode", ["greet", "tool"])
def test_every_way_is_the_same_task(
    provider: ModelServer, recorded: phospho.RecordingTransport, name: str, mode: str
) -> None:
    provider.mode = mode
    ways = PROVIDERS[name](provider.url)
    for call in ways.values():
        call()

    assert phospho.flush().is_complete
    tasks = {way: (log["input"], log["output"]) for way, log in zip(ways, recorded.logs, strict=True)}
    assert tasks == dict.fromkeys(ways, ("Say hello", TEXTS[mode]))
    figures = [(log["model"], log["tokens_in"], log["tokens_out"]) for log in recorded.logs]
    assert figures == [(MODEL, TOKENS_IN, TOKENS_OUT)] * len(ways)
    assert phospho.stats().errors == {}


@pytest.mark.parametrize("name", PROVIDERS)
def test_error_of_the_provider_is_logged_and_raised(
    provider: ModelServer, recorded: phospho.RecordingTransport, name: str
) -> None:
    provider.mode = "error"
    ways = PROVIDERS[name](provider.url)

    with pytest.raises(Exception, match=r"400|no"):
        ways["whole"]()

    assert phospho.flush().is_complete
    [log] = recorded.logs
    assert (log["input"], log["output"]) == ("Say hello", None)
    assert "Error" in log["error"]


def test_helper_that_is_left_early_is_logged_at_the_end_of_its_block(
    provider: ModelServer, recorded: phospho.RecordingTransport
) -> None:
    provider.mode = "greet"
    client = pytest.importorskip("openai").OpenAI(api_key="k", base_url=provider.url + "/v1", max_retries=0)
    helpers = [
        client.chat.completions.stream(model=MODEL, messages=MESSAGES),
        client.responses.stream(model=MODEL, input="Say hello"),
    ]
    streams = []
    for helper in helpers:
        with helper as stream:
            streams.append(stream)
            next(iter(stream))

    assert phospho.flush().is_complete
    assert [log["input"] for log in recorded.logs] == ["Say hello"] * len(streams)


def test_raw_response_that_calls_a_tool_is_the_call(
    provider: ModelServer, recorded: phospho.RecordingTransport
) -> None:
    provider.mode = "tool"
    openai, anthropic = pytest.importorskip("openai"), pytest.importorskip("anthropic")
    client = openai.OpenAI(api_key="k", base_url=provider.url + "/v1", max_retries=0)
    client.chat.completions.with_raw_response.create(model=MODEL, messages=MESSAGES)
    client.responses.with_raw_response.create(model=MODEL, input="Say hello")
    messages = anthropic.Anthropic(api_key="k", base_url=provider.url, max_retries=0).messages
    messages.with_raw_response.create(model=MODEL, max_tokens=9, messages=MESSAGES)

    assert phospho.flush().is_complete
    assert [log["output"] for log in recorded.logs] == [TEXTS["tool"]] * 3
