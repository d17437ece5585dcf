"""The user's text and the system prompt of a request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .conversations import SYSTEM, USER, Message, conversation_of, last_text
from .parts import content_parts, is_result, joined

__all__ = ["input_text", "system_prompt"]

# Fields that hold a prompt: completions, Responses, chains, retrievers, Gemini, one message, Cohere, Bedrock's Titan.
_PROMPT_FIELDS = ("prompt", "input", "question", "query", "contents", "content", "message", "inputText")
# Fields that hold the system prompt beside the messages: Anthropic and Ollama, Responses, Assistants, Gemini, Cohere.
_SYSTEM_FIELDS = (
    "system", "instructions", "additional_instructions", "system_instruction", "systemInstruction", "system_prompt",
    "preamble",
)  # fmt: skip


def input_text(value: Any) -> str | None:
    """
    Return the user's text: plain text as it is, a prompt, or the last user messages of a conversation.

    Empty for a conversation in which the user says nothing. None for a value of no known shape.
    """
    if isinstance(value, str):
        return value
    conversation = conversation_of(value)
    if conversation is not None:
        return last_text(conversation, USER) or ""
    return _prompt(value) if isinstance(value, Mapping) else None


def system_prompt(value: Any) -> str:
    """Return the system fields of a call and the system messages of its conversation, joined by line breaks."""
    texts: list[str] = []
    if isinstance(value, Mapping):
        config = value.get("config")
        holders = [value, config] if isinstance(config, Mapping) else [value]
        texts = [joined(content_parts(holder.get(field))) for holder in holders for field in _SYSTEM_FIELDS]
    texts += _system_texts(conversation_of(value) or ())
    return "\n".join(filter(None, texts))


def _system_texts(conversation: Iterable[Message]) -> list[str]:
    return [message.text for message in conversation if message.role == SYSTEM]


def _prompt(value: Mapping[str, Any]) -> str | None:
    for field in _PROMPT_FIELDS:
        prompt = value.get(field)
        if isinstance(prompt, str):
            return prompt
        if isinstance(prompt, (list, Mapping)):
            parts = content_parts(prompt)
            # Results of tools alone are nobody's words.
            if parts or (prompt and all(map(is_result, prompt if isinstance(prompt, list) else [prompt]))):
                return joined(parts)
    return None
