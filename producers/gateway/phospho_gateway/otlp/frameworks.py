"""Requests and answers in attributes of frameworks: Google's ADK, the AI SDK, Logfire, Langfuse, MLflow."""

from __future__ import annotations

from typing import Any

from phospho_gateway.otlp.message_shapes import Message, call_of, of_genai, of_parts
from phospho_gateway.otlp.spans import Attributes
from phospho_gateway.otlp.values import count_of, json_object, json_objects, json_text, json_value
from phospho_schemas.shapes.figures import usage as usage_of

_ADK_REQUEST = "gcp.vertex.agent.llm_request"
_ADK_RESPONSE = "gcp.vertex.agent.llm_response"
# Attributes of Langfuse and MLflow that hold the token counts of a call as JSON.
USAGES = ("langfuse.observation.usage_details", "mlflow.chat.tokenUsage")
_ADK_TOKENS_IN = ("prompt_token_count", "tool_use_prompt_token_count")
_ADK_TOKENS_OUT = ("candidates_token_count", "thoughts_token_count")
_VERCEL_CALLS = "ai.response.toolCalls"


def adk_input(attributes: Attributes) -> list[Message]:
    """Return the messages of a request of the ADK, which is one of Gemini."""
    request = json_value(attributes.get(_ADK_REQUEST))
    if not isinstance(request, dict):
        return of_genai(request, "user")
    contents = json_objects(request.get("contents"))
    return [message for content in contents for message in of_parts(content, "user")]


def adk_output(attributes: Attributes) -> list[Message]:
    """Return the answer in a response of the ADK; where it failed, nothing."""
    response = json_value(attributes.get(_ADK_RESPONSE))
    if not isinstance(response, dict):
        return of_genai(response, "assistant")
    content = json_object(response.get("content"))
    # Of the role of Gemini, whose parts are joined without line breaks.
    return [message | {"role": "model"} for message in of_parts(content, "model")] if content else []


def reported_tokens(attributes: Attributes) -> tuple[int | None, int | None]:
    """Return the tokens in and out that a response of the ADK (thoughts included), Logfire, Langfuse or MLflow has."""
    usage = json_object(json_object(attributes.get(_ADK_RESPONSE)).get("usage_metadata"))
    if usage:
        return _sum(usage, _ADK_TOKENS_IN), _sum(usage, _ADK_TOKENS_OUT)
    response = usage_of(json_object(attributes.get("response_data")))
    if (response.tokens_in, response.tokens_out) != (None, None):
        return response.tokens_in, response.tokens_out
    counts = next((counts for name in USAGES if (counts := json_object(attributes.get(name)))), {})
    return _side_count(counts, "input", "prompt_tokens"), _side_count(counts, "output", "completion_tokens")


def _side_count(counts: Attributes, side: str, other_name: str) -> int | None:
    """Return the tokens of a side. Langfuse and MLflow count those of a cache and of thoughts apart."""
    names = [name for name in counts if side in name] or [other_name]
    parts = [count for name in names if (count := count_of(counts.get(name))) is not None]
    return sum(parts) if parts else None


def vercel_output(attributes: Attributes) -> list[Message]:
    """Return the answer of the AI SDK: a text, an object or calls of tools; the text of an object is its JSON."""
    text = json_text(attributes.get("ai.response.text") or attributes.get("ai.response.object"))
    sent = attributes.get(_VERCEL_CALLS)
    calls = [
        call_of(call.get("toolName"), call.get("input", call.get("args")), call.get("toolCallId"))
        for call in json_objects(sent)
    ]
    if not text and not calls:
        # Calls that were cut.
        text = json_text(sent)
    if not text and not calls:
        return []
    message: Message = {"role": "assistant", "content": text or None}
    if calls:
        message["tool_calls"] = calls
    if reasoning := attributes.get("ai.response.reasoning"):
        message["reasoning"] = reasoning
    return [message]


def system_prompt(attributes: Attributes) -> str:
    """Return the instructions of a request of the ADK, of the AI SDK or of Logfire; empty without any."""
    requests = (
        (json_object(json_object(attributes.get(_ADK_REQUEST)).get("config")), "system_instruction"),
        (json_object(attributes.get("ai.prompt")), "system"),
        (json_object(attributes.get("request_data")), "system"),
        (json_object(attributes.get("request_data")), "instructions"),
    )
    return next((text for request, name in requests if (text := _text(request.get(name)))), "")


def _text(value: Any) -> str:
    """Return a text, or the texts of parts."""
    parts = value.get("parts", value) if isinstance(value, dict) else value
    if isinstance(parts, dict):
        parts = [parts]
    if isinstance(parts, list):
        texts = [json_text(part.get("text")) if isinstance(part, dict) else json_text(part) for part in parts]
        return "\n".join(filter(None, texts))
    return json_text(parts)


def _sum(usage: Attributes, names: tuple[str, ...]) -> int | None:
    counts = [count for name in names if (count := count_of(usage.get(name))) is not None]
    return sum(counts) if counts else None
