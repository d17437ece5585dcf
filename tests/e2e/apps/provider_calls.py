"""Calls of each provider's own client under the instrumentations of a family: `provider_calls.py FAMILY`."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

import anthropic
import ollama
import openai
from google import genai
from langchain_core.output_parsers import StrOutputParser
from langchain_openai import ChatOpenAI
from openinference.instrumentation import using_attributes
from pydantic import SecretStr
from tracing import provider

MODEL = "model-1"
MESSAGES: Any = [{"role": "user", "content": "Say hello"}]
Ways = Mapping[str, Callable[[], Any]]

INSTRUMENTORS = {
    "openinference": (
        "openinference.instrumentation.openai:OpenAIInstrumentor",
        "openinference.instrumentation.anthropic:AnthropicInstrumentor",
        "openinference.instrumentation.google_genai:GoogleGenAIInstrumentor",
        "openinference.instrumentation.ollama:OllamaInstrumentor",
        "openinference.instrumentation.langchain:LangChainInstrumentor",
    ),
    "openllmetry": (
        "opentelemetry.instrumentation.openai:OpenAIInstrumentor",
        "opentelemetry.instrumentation.anthropic:AnthropicInstrumentor",
        "opentelemetry.instrumentation.google_generativeai:GoogleGenerativeAiInstrumentor",
        "opentelemetry.instrumentation.ollama:OllamaInstrumentor",
        "opentelemetry.instrumentation.langchain:LangchainInstrumentor",
    ),
}


def chat(client: openai.OpenAI) -> Ways:
    request: Any = {"model": MODEL, "messages": MESSAGES}
    streamed = {**request, "stream_options": {"include_usage": True}}

    def helper() -> None:
        with client.chat.completions.stream(**streamed) as events:
            events.until_done()

    return {
        "whole": lambda: client.chat.completions.create(**request),
        "stream": lambda: list(client.chat.completions.create(**streamed, stream=True)),
        "helper": helper,
    }


def openai_chat(url: str) -> Ways:
    return chat(openai.OpenAI(api_key="k", base_url=url + "/v1", max_retries=0))


def azure(url: str) -> Ways:
    return chat(openai.AzureOpenAI(api_key="k", azure_endpoint=url, api_version="2024-06-01", max_retries=0))


def responses(url: str) -> Ways:
    client = openai.OpenAI(api_key="k", base_url=url + "/v1", max_retries=0)
    request: Any = {"model": MODEL, "input": "Say hello"}

    def helper() -> None:
        with client.responses.stream(**request) as events:
            events.until_done()

    return {
        "whole": lambda: client.responses.create(**request),
        "stream": lambda: list(client.responses.create(**request, stream=True)),
        "helper": helper,
    }


def anthropic_messages(url: str) -> Ways:
    client = anthropic.Anthropic(api_key="k", base_url=url, max_retries=0)
    request: Any = {"model": MODEL, "max_tokens": 9, "messages": MESSAGES}

    def helper() -> None:
        with client.messages.stream(**request) as events:
            events.get_final_message()

    return {
        "whole": lambda: client.messages.create(**request),
        "stream": lambda: list(client.messages.create(**request, stream=True)),
        "helper": helper,
    }


def gemini(url: str) -> Ways:
    client = genai.Client(api_key="k", http_options={"base_url": url})
    request: Any = {"model": MODEL, "contents": "Say hello"}
    return {
        "whole": lambda: client.models.generate_content(**request),
        "stream": lambda: list(client.models.generate_content_stream(**request)),
        "helper": lambda: list(client.chats.create(model=MODEL).send_message_stream("Say hello")),
    }


def ollama_chat(url: str) -> Ways:
    client = ollama.Client(host=url)
    return {
        "whole": lambda: client.chat(model=MODEL, messages=MESSAGES),
        "stream": lambda: list(client.chat(model=MODEL, messages=MESSAGES, stream=True)),
    }


def langchain(url: str) -> Ways:
    key = SecretStr("k")
    model = ChatOpenAI(model=MODEL, base_url=url + "/v1", api_key=key, max_retries=0, stream_usage=True)
    return {
        "whole": lambda: model.invoke("Say hello"),
        "stream": lambda: list(model.stream("Say hello")),
        "helper": lambda: list((model | StrOutputParser()).stream("Say hello")),
    }


PROVIDERS = {
    "OpenAI Chat Completions": openai_chat,
    "Azure OpenAI": azure,
    "OpenAI Responses": responses,
    "Anthropic": anthropic_messages,
    "Gemini": gemini,
    "Ollama": ollama_chat,
    "LangChain": langchain,
}


@contextlib.contextmanager
def session(tracer: Any, name: str) -> Iterator[None]:
    identity = {"session_id": name, "user_id": "matrix"}
    properties = {f"traceloop.association.properties.{key}": value for key, value in identity.items()}
    properties["traceloop.span.kind"] = "workflow"
    with using_attributes(**identity), tracer.start_as_current_span(name, attributes=properties):
        yield


def call_all(name: str, conversation: Callable[[str], AbstractContextManager[Any]]) -> None:
    for mode in ("greet", "tool", "error"):
        for way, call in PROVIDERS[name](os.environ[f"{mode.upper()}_URL"]).items():
            with conversation(f"{name} {mode} {way}"), contextlib.suppress(Exception):
                call()


def main(family: str) -> None:
    traces = provider()
    tracer = traces.get_tracer("app")
    instrumentors = [
        getattr(importlib.import_module(module), attribute)()
        for module, _, attribute in (path.partition(":") for path in INSTRUMENTORS[family])
    ]
    # LangChain's reports the calls by itself: with the client's, each call would be reported twice.
    *clients, framework = instrumentors
    for instrumentor in clients:
        instrumentor.instrument(tracer_provider=traces)
    for name in PROVIDERS:
        if name == "LangChain":
            for instrumentor in clients:
                instrumentor.uninstrument()
            framework.instrument(tracer_provider=traces)
        call_all(name, lambda call: session(tracer, f"{family} {call}"))


main(sys.argv[1])
