"""Text of whole responses: OpenAI, Anthropic, Gemini, Ollama, LiteLLM, LangChain."""

from __future__ import annotations

from typing import Any, Callable

from .fields import first_item, list_field, read
from .message_parts import calls_text, content_text

__all__ = ["response_text"]


def response_text(value: Any) -> str | None:
    """Return the text of a response. None if its shape is unknown."""
    for reader in _READERS:
        text = reader(value)
        if text is not None:
            return text
    return None


def _message_text(message: Any) -> str | None:
    """Return a message's content, else its refusal, else its tool calls."""
    text = content_text(read(message, "content"))
    if text:
        return text
    refusal = read(message, "refusal")
    if isinstance(refusal, str) and refusal:
        return refusal
    return calls_text(list_field(message, "tool_calls")) or calls_text([message]) or text


def _openai_chat(value: Any) -> str | None:
    """Read `choices[0]` of Chat Completions, LiteLLM, and the legacy completions."""
    choice = first_item(value, "choices")
    if choice is None:
        return None
    message = read(choice, "message")
    if message is not None:
        return _message_text(message) or ""
    text = read(choice, "text")
    return text if isinstance(text, str) else None


def _openai_response(value: Any) -> str | None:
    """Read the `output` of the Responses API: messages and calls, in order."""
    output = list_field(value, "output")
    if not output:
        return None
    texts = [_message_text(item) for item in output if read(item, "type") in ("message", "function_call")]
    return "\n".join([text for text in texts if text])


def _anthropic(value: Any) -> str | None:
    if read(value, "type") != "message" or not isinstance(read(value, "content"), (list, tuple)):
        return None
    return content_text(read(value, "content")) or ""


def _gemini(value: Any) -> str | None:
    candidate = first_item(value, "candidates")
    if candidate is None:
        return None
    # Gemini cuts one text into parts anywhere.
    return content_text(read(read(candidate, "content"), "parts"), separator="") or ""


def _ollama(value: Any) -> str | None:
    response = read(value, "response")
    if isinstance(response, str):
        return response
    message = read(value, "message")
    return (_message_text(message) or "") if read(message, "role") is not None else None


def _langchain(value: Any) -> str | None:
    """Read `generations[0][0]` of an LLMResult, or `generations[0]` of a ChatResult."""
    generation = first_item(value, "generations")
    if isinstance(generation, (list, tuple)):
        generation = generation[0] if generation else None
    text = read(generation, "text")
    return text if isinstance(text, str) else None


_READERS: tuple[Callable[[Any], str | None], ...] = (
    _openai_chat,
    _openai_response,
    _anthropic,
    _gemini,
    _ollama,
    _langchain,
)
