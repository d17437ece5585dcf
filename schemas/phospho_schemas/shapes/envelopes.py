"""Objects that lie in an envelope: LangChain's serialised ones, Assistants' events, Bedrock's chunks in bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

__all__ = ["is_langchain_chunk", "langchain_fields", "listed_answers", "without_envelope"]

# Lists of answers of Bedrock's Titan and Mistral and of watsonx, and the field that tells them from other lists.
_ANSWER_LISTS = (("results", "outputText"), ("outputs", "stop_reason"), ("results", "generated_text"))


def langchain_fields(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the fields of an object that LangChain has serialised; any other object as it is."""
    if value.get("type") == "constructor" and isinstance(value.get("kwargs"), Mapping):
        return {"type": _class_name(value.get("id")), **value["kwargs"]}
    return value


def is_langchain_chunk(value: Any) -> bool:
    """Return whether *value* is a chunk of LangChain's streams."""
    return isinstance(value, Mapping) and langchain_fields(value).get("type") == "AIMessageChunk"


def without_envelope(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the object in an envelope; any other object as it is."""
    event, data, chunk = value.get("event"), value.get("data"), value.get("chunk")
    if isinstance(event, str) and event.startswith("thread.") and isinstance(data, Mapping):
        return data
    if isinstance(chunk, Mapping) and "bytes" in chunk:
        return _document(chunk["bytes"])
    return langchain_fields(value)


def listed_answers(value: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the answers in a response, or a chunk, of Bedrock's Titan and Mistral and of watsonx."""
    for field, sign in _ANSWER_LISTS:
        answers = value.get(field)
        if (
            isinstance(answers, list)
            and answers
            and all(isinstance(each, Mapping) and sign in each for each in answers)
        ):
            return answers
    return []


def _class_name(path: Any) -> str:
    """Return the name of a LangChain class as the type of its messages: "Human" for a HumanMessage."""
    name = path[-1] if isinstance(path, list) and path else ""
    return name.removesuffix("Message") if isinstance(name, str) else ""


def _document(content: Any) -> Mapping[str, Any]:
    try:
        document = json.loads(content) if isinstance(content, str) else content
    except (ValueError, RecursionError):
        document = None
    # The chunks of Bedrock's agents are plain text.
    return document if isinstance(document, Mapping) else {"completion": content}
