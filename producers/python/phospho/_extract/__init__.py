"""
Text, usage and system prompt of whatever an app passes as input or output.

Everything is recognised by its shape, so objects of a client library and the dicts of its JSON are the
same, and no client library is imported. Of what no reader recognises, plain values become their JSON, as the
server and the other SDKs write it, and everything else its `str`.
"""

from __future__ import annotations

from typing import Any, Callable

from .._jsonable import encode, text_of, to_jsonable
from ._chunks import chunk_text
from ._conversations import conversation_of, last_text, system_text
from ._responses import response_text
from ._shapes import has_everything, parsed, read
from ._usage import usage_of

__all__ = ["has_everything", "input_text", "model_of", "output_text", "system_prompt_of", "usage_of"]

_OUTPUT_READERS: tuple[Callable[[Any], str | None], ...] = (chunk_text, response_text)

# Where the calls of the known clients carry a prompt that is plain text.
_PROMPT_FIELDS = ("prompt", "input", "question", "query")


def input_text(value: Any) -> str:
    """Return what the user said: of a conversation the last user messages, joined by newlines."""
    value = parsed(value)
    if value is None or isinstance(value, str):
        return value or ""
    conversation = conversation_of(value)
    if conversation is not None:
        return last_text(conversation, "user") or ""
    for field in _PROMPT_FIELDS:
        prompt = read(value, field)
        if isinstance(prompt, str):
            return prompt
    return _unknown_text(value)


def output_text(value: Any) -> str | None:
    """
    Return what the assistant said, None if it said nothing, and "" for a chunk without text.

    *value* may be a whole response, one chunk of a stream, or a conversation, of which the last
    assistant messages are taken.
    """
    value = parsed(value)
    if value is None or isinstance(value, str):
        return value
    for reader in _OUTPUT_READERS:
        text = reader(value)
        if text is not None:
            return text
    conversation = conversation_of(value)
    if conversation is not None:
        return last_text(conversation, "assistant")
    return _unknown_text(value)


def system_prompt_of(input: Any, output: Any = None) -> str | None:
    """Return the system prompt that *input*, or else *output*, carries."""
    for value in (input, output):
        if value is not None and not isinstance(value, str):
            text = system_text(value)
            if text:
                return text
    return None


def model_of(input: Any, output: Any = None) -> str | None:
    """Return the name of the model, of the output if it says so (it is the exact one)."""
    for value in (parsed(output), parsed(input)):
        for field in ("model", "model_version", "modelVersion"):
            name = read(value, field)
            if isinstance(name, str) and name:
                return name
    return None


def _unknown_text(value: Any) -> str:
    is_plain = isinstance(value, (dict, list, tuple, bool))
    return encode(to_jsonable(value)).decode() if is_plain else text_of(value)
