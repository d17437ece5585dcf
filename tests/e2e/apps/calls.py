"""The calls of the OpenAI client that the apps of OpenInference and OpenLLMetry both make."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import openai

_TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


def talk(conversation: Callable[[str], AbstractContextManager[Any]]) -> None:
    """Hold a conversation of each kind; `conversation` puts its name on the spans inside."""
    client = openai.OpenAI(max_retries=0)

    def ask(messages: list[Any], **options: Any) -> Any:
        return client.chat.completions.create(model="gpt-4o-mini", messages=messages, **options)

    with conversation("plain"):
        system = {"role": "system", "content": "Be brief"}
        ask([system, {"role": "user", "content": "Hello"}])
        ask([system, {"role": "user", "content": "Hello"}, {"role": "assistant", "content": "You said: Hello"},
             {"role": "user", "content": "And now?"}])  # fmt: skip
    with conversation("streamed"):
        list(ask([{"role": "user", "content": "In pieces"}], stream=True, stream_options={"include_usage": True}))
    with conversation("tools"):
        messages: list[Any] = [{"role": "user", "content": "Is it warm?"}]
        answer = ask(messages, tools=[_TOOL]).choices[0].message
        messages += [answer, {"role": "tool", "tool_call_id": "call_1", "content": "31 degrees"}]
        ask(messages, tools=[_TOOL])
    with conversation("responses"):
        client.responses.create(model="gpt-4o-mini", instructions="Be kind", input="A response")
    with conversation("embeddings"):
        client.embeddings.create(model="text-embedding-3-small", input="no task")
    with conversation("failing"), contextlib.suppress(openai.BadRequestError):
        ask([{"role": "user", "content": "fail"}])
