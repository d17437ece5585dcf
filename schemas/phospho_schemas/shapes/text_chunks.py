"""Chunks that are a text in some field, and those of LlamaIndex, of Claude's agents and of Gemini's interactions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .answer_parts import BLOCKS, CALLS, CONTENT, AnswerParts, number
from .envelopes import listed_answers
from .parts import CALL, PLAIN_TEXT_FIELDS, arguments_text, is_result, item_parts, message_parts

__all__ = ["TextChunks"]

# Events that the stream helpers of Anthropic and OpenAI add to those of the API, and the field with the text.
_HELPER_TEXTS = {"text": "text", "content.delta": "delta"}
_TRANSCRIPT = "transcript.text."


class TextChunks(AnswerParts):
    """One answer to which such chunks are added."""

    def __init__(self) -> None:
        super().__init__()
        # The field of the chunks that are text in one field.
        self._text_field = ""
        self._has_helper_text = False
        self._block_of_helper = 0

    def _helper_event(self, event: Mapping[str, Any]) -> None:
        """Add the text of a helper's event, where the app has filtered out the API's own, which come before it."""
        text = event.get(_HELPER_TEXTS.get(str(event.get("type")), ""))
        if not isinstance(text, str) or (self._parts and not self._has_helper_text):
            return
        self._has_helper_text = True
        if event["snapshot"] == text:
            self._block_of_helper = self._count(0)
        self._grow((0, BLOCKS, self._block_of_helper), text)

    def _transcription(self, event: Mapping[str, Any]) -> bool:
        kind = event.get("type")
        if not isinstance(kind, str) or not kind.startswith(_TRANSCRIPT):
            return False
        if kind == f"{_TRANSCRIPT}delta":
            self._grow((0, CONTENT), event.get("delta"))
        elif kind == f"{_TRANSCRIPT}done" and isinstance(event.get("text"), str):
            self._clear()
            self._grow((0, CONTENT), event["text"])
        return True

    def _token(self, chunk: Mapping[str, Any]) -> bool:
        """TGI: its last chunk repeats the text."""
        token = chunk.get("token")
        if not isinstance(token, Mapping) or "text" not in token:
            return False
        self._grow((0, CONTENT), "" if token.get("special") is True else token["text"])
        return True

    def _llama_index(self, chunk: Mapping[str, Any]) -> bool:
        """LlamaIndex: each chunk has the piece and all that came before it."""
        delta, message = chunk.get("delta"), chunk.get("message")
        is_message = isinstance(message, Mapping) and "blocks" in message
        if not is_message and not (isinstance(delta, str) and isinstance(chunk.get("text"), str)):
            return False
        self._grow((0, CONTENT), delta)
        calls = [part for part in message_parts(message) if part.kind == CALL] if isinstance(message, Mapping) else []
        if calls:
            self._replace((0, CALLS), calls)
        return True

    def _interaction(self, event: Mapping[str, Any]) -> bool:
        """Gemini's interactions."""
        kind, step, delta = event.get("event_type"), event.get("step"), event.get("delta")
        position = (0, BLOCKS, number(event, "index"))
        if kind == "step.start" and isinstance(step, Mapping):
            self._start_step(position, step)
        elif kind == "step.delta" and isinstance(delta, Mapping):
            self._step_delta(position, delta)
        return isinstance(kind, str) and kind.startswith(("step.", "interaction."))

    def _start_step(self, position: tuple[int, ...], step: Mapping[str, Any]) -> None:
        if step.get("type") == "function_call":
            self._call(position, step.get("name"), step.get("arguments") or None)
            self._part(position, CALL).is_object = True
            return
        for part in item_parts(step):
            self._grow(position, part.text, part.kind)

    def _step_delta(self, position: tuple[int, ...], delta: Mapping[str, Any]) -> None:
        started_part = self._parts.get(position)
        if delta.get("type") == "text":
            self._grow(position, delta.get("text"))
        elif delta.get("type") == "arguments_delta" and started_part is not None and started_part.kind == CALL:
            started_part.add_text(arguments_text(delta.get("arguments")))

    def _listed_answers(self, chunk: Mapping[str, Any]) -> bool:
        """Bedrock's Mistral and watsonx."""
        answers = listed_answers(chunk)
        for choice, answer in enumerate(answers):
            field = next((field for field in PLAIN_TEXT_FIELDS if isinstance(answer.get(field), str)), "")
            self._grow((choice, CONTENT), answer.get(field))
        return bool(answers)

    def _agent_message(self, chunk: Mapping[str, Any]) -> bool:
        """Whole messages of Claude's Agent SDK. Those after the last result of a tool are the answer."""
        kind = chunk.get("type")
        message = chunk.get("message") if kind in ("assistant", "user") else None if kind or "role" in chunk else chunk
        content = message.get("content") if isinstance(message, Mapping) else None
        if not isinstance(content, list) or not isinstance(message, Mapping):
            return False
        if content and all(map(is_result, content)):
            self._clear()
        elif kind != "user":
            self._append(0, message_parts(message))
        return True

    def _plain_text(self, chunk: Mapping[str, Any]) -> bool:
        """Chunks that are text in one field. In an answer of another shape or field they are unknown ones."""
        fields = PLAIN_TEXT_FIELDS if "role" in chunk or "type" in chunk else (*PLAIN_TEXT_FIELDS, "content")
        field = next((field for field in fields if isinstance(chunk.get(field), str)), "")
        if not field or (self._parts and field != self._text_field):
            return False
        self._text_field = field
        self._grow((0, CONTENT), chunk[field])
        return True
