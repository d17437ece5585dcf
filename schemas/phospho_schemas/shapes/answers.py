"""Text of a model's answer: a whole response, a conversation, or a list of chunks."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .conversations import ASSISTANT, conversation_of, last_text
from .envelopes import is_langchain_chunk, langchain_fields, listed_answers
from .parts import PLAIN_TEXT_FIELDS, Part, content_parts, item_parts, joined, message_parts
from .streams import Assembly

__all__ = ["output_text"]


def output_text(value: Any) -> str | None:
    """
    Return the text of an answer: plain text as it is, the answer of a response, or the last assistant messages.

    Empty for a conversation without an answer. None for a value of no known shape.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, (list, tuple)):
        return _of_list(value)
    if not isinstance(value, Mapping):
        return None
    value = langchain_fields(value)
    parts = next((parts for read in _READERS if (parts := read(value)) is not None), None)
    if parts is not None:
        return joined(parts)
    conversation = conversation_of(value)
    if conversation is not None:
        return last_text(conversation, ASSISTANT) or ""
    chunk = Assembly()
    return chunk.text() if chunk.add(value) else None


def _of_list(values: Sequence[Any]) -> str | None:
    conversation = None if values and all(map(is_langchain_chunk, values)) else conversation_of(values)
    if conversation is not None:
        return last_text(conversation, ASSISTANT) or ""
    if values and all(_is_content(value) for value in values):
        return joined(content_parts(values))
    if not any(isinstance(value, Mapping) for value in values):
        return None
    assembly = Assembly()
    recognised = [assembly.add(value) for value in values]
    return assembly.text() if any(recognised) else None


def _is_content(value: Any) -> bool:
    """Return whether *value* is a part of a content list, as the AI SDK and LangChain have them."""
    kinds = ("text", "output_text", "tool-call", "tool_use")
    return isinstance(value, Mapping) and value.get("type") in kinds and "snapshot" not in value


def _choices(value: Mapping[str, Any]) -> list[Part] | None:
    """Read Chat Completions, LiteLLM and legacy completions: the first choice that has text."""
    choices = value.get("choices")
    if not isinstance(choices, list):
        return None
    return _first_with_text([_choice(choice) for choice in choices if isinstance(choice, Mapping)])


def _choice(choice: Mapping[str, Any]) -> list[Part]:
    if isinstance(choice.get("text"), str):
        return [Part(choice["text"])]
    message = choice.get("message") or choice.get("delta")
    return message_parts(message) if isinstance(message, Mapping) else []


def _response_items(value: Mapping[str, Any]) -> list[Part] | None:
    """Read `output` of Responses: messages and calls, in order."""
    output = value.get("output")
    if not isinstance(output, list) or not all(isinstance(item, Mapping) and "type" in item for item in output):
        return None
    if not output and value.get("object") != "response":
        return None
    return [part for item in output for part in item_parts(item)]


def _candidates(value: Mapping[str, Any]) -> list[Part] | None:
    candidates = value.get("candidates")
    if not isinstance(candidates, list):
        return None
    contents = [candidate.get("content") for candidate in candidates if isinstance(candidate, Mapping)]
    return _first_with_text([message_parts(content) for content in contents if isinstance(content, Mapping)])


def _generations(value: Mapping[str, Any]) -> list[Part] | None:
    """Read `generations[0][0]` of LangChain's LLMResult, or `generations[0]` of its ChatResult."""
    generation: Any = value.get("generations")
    for _ in range(2):
        generation = generation[0] if isinstance(generation, list) and generation else generation
    if not isinstance(generation, Mapping):
        return None
    generation = langchain_fields(generation)
    message = generation.get("message")
    parts = message_parts(langchain_fields(message)) if isinstance(message, Mapping) else []
    text = generation.get("text")
    return parts or ([Part(text)] if isinstance(text, str) else None)


def _message(value: Mapping[str, Any]) -> list[Part] | None:
    """Read `message` of Ollama and Cohere, or `output.message` of Bedrock."""
    output = value.get("output")
    message = output.get("message") if isinstance(output, Mapping) else value.get("message")
    if isinstance(message, Mapping) and ("role" in message or "content" in message):
        return message_parts(message)
    return None


def _answer_list(value: Mapping[str, Any]) -> list[Part] | None:
    """Read the answers of Bedrock's Titan and Mistral, and of watsonx."""
    answers = listed_answers(value)
    return _first_with_text([_text_field(answer) or [] for answer in answers]) if answers else None


def _text_field(value: Mapping[str, Any]) -> list[Part] | None:
    text = next((value[field] for field in PLAIN_TEXT_FIELDS if isinstance(value.get(field), str)), None)
    if text is None:
        text = _replicate_text(value)
    if text is None:
        return None
    calls = message_parts({name: value.get(name) for name in ("tool_calls", "toolCalls")})
    return [Part(text), *calls]


def _replicate_text(value: Mapping[str, Any]) -> str | None:
    """Return the joined pieces of a prediction of Replicate; None for the lists of texts of others."""
    is_prediction = "urls" in value or "version" in value or ("model" in value and "status" in value)
    pieces = value.get("output")
    if not is_prediction or not isinstance(pieces, list) or not pieces:
        return None
    return "".join(pieces) if all(isinstance(piece, str) for piece in pieces) else None


def _last_step(value: Mapping[str, Any]) -> list[Part] | None:
    """Read the result of the AI SDK: the last of its steps is the answer."""
    steps = value.get("steps")
    last = steps[-1] if isinstance(steps, list) and steps else None
    if not isinstance(last, Mapping) or not isinstance(last.get("content"), list) or "finishReason" not in last:
        return None
    return content_parts(last["content"])


def _interaction_steps(value: Mapping[str, Any]) -> list[Part] | None:
    """Read the steps of Gemini's interactions: outputs of the model and calls, in order."""
    steps = value.get("steps")
    if value.get("object") != "interaction" or not isinstance(steps, list):
        return None
    own_steps = [step for step in steps if isinstance(step, Mapping) and step.get("type") != "user_input"]
    return [part for step in own_steps for part in item_parts(step)]


def _object(value: Mapping[str, Any]) -> list[Part] | None:
    """Read the object of the AI SDK's `generateObject`."""
    answer = value.get("object")
    is_result = isinstance(answer, (Mapping, list)) and "finishReason" in value
    return [Part(json.dumps(answer, ensure_ascii=False, separators=(",", ":")))] if is_result else None


def _content(value: Mapping[str, Any]) -> list[Part] | None:
    """Read a message that has no role."""
    return message_parts(value) if "content" in value and value.get("role") is None and "type" not in value else None


def _first_with_text(answers: Sequence[list[Part]]) -> list[Part]:
    return next((parts for parts in answers if joined(parts)), [])


_READERS: tuple[Callable[[Mapping[str, Any]], list[Part] | None], ...]
_READERS = (
    _choices, _response_items, _candidates, _generations, _message, _interaction_steps, _answer_list, _text_field,
    _last_step, _object, _content,
)  # fmt: skip
