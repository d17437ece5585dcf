"""
One input or output of the app: its text, JSON, system prompt, model and token counts.

Values are recognised by shape, so objects of a client library and the dicts of its JSON are the same, and no client
library is imported. The text of an unknown value is its JSON if it is plain, as the server and the other SDKs write
it, else its `str`.
"""

from __future__ import annotations

from typing import Any

from .chunks import chunk_text
from .conversations import Message, conversation_of, last_text, system_text
from .fields import parsed, read
from .json_values import encode, text_of, to_jsonable
from .responses import response_text
from .usage import usage_of

__all__ = ["LoggedValue"]

# Fields of known calls that hold a prompt as plain text.
_PROMPT_FIELDS = ("prompt", "input", "question", "query")
_MODEL_FIELDS = ("model", "model_version", "modelVersion")

_NOT_READ: Any = object()


class LoggedValue:
    """A value of the app. It is parsed, copied and read as a conversation at most once, when first asked for."""

    __slots__ = ("_conversation", "_json", "_parsed", "original")

    def __init__(self, value: Any) -> None:
        self.original = value
        self._parsed: Any = _NOT_READ
        self._json: Any = _NOT_READ
        self._conversation: Any = _NOT_READ

    @property
    def json(self) -> Any:
        """The whole value as JSON values."""
        if type(self.original) is str:
            return self.original
        if self._json is _NOT_READ:
            self._json = to_jsonable(self.original)
        return self._json

    def input_text(self) -> str:
        """Return the user's text. Of a conversation, that is the last user messages joined by newlines."""
        value = self._value()
        if value is None or isinstance(value, str):
            return value or ""
        messages = self._messages()
        if messages is not None:
            return last_text(messages, "user") or ""
        prompts = (read(value, field) for field in _PROMPT_FIELDS)
        prompt = next((prompt for prompt in prompts if isinstance(prompt, str)), None)
        return self._unknown_text() if prompt is None else prompt

    def output_text(self) -> str | None:
        """
        Return the assistant's text, None if there is none, and "" for a chunk without text.

        The value may be a whole response, one chunk of a stream, or a conversation, of which the last
        assistant messages are taken.
        """
        value = self._value()
        if value is None or isinstance(value, str):
            return value
        for read_text in (chunk_text, response_text):
            text = read_text(value)
            if text is not None:
                return text
        messages = self._messages()
        if messages is not None:
            return last_text(messages, "assistant")
        return self._unknown_text()

    def system_prompt(self) -> str | None:
        """Return the system prompt that the value carries, or None."""
        value = self._value()
        return None if value is None or isinstance(value, str) else system_text(value, self._messages() or ())

    def model(self) -> str | None:
        """Return the name of the model that the value carries, or None."""
        names = (read(self._value(), field) for field in _MODEL_FIELDS)
        return next((name for name in names if isinstance(name, str) and name), None)

    def usage(self) -> dict[str, int]:
        """Return the token counts that the value carries; see `usage_of`."""
        return usage_of(self._value())

    def _value(self) -> Any:
        """Return the value, parsed if it is bytes."""
        if self._parsed is _NOT_READ:
            self._parsed = parsed(self.original)
        return self._parsed

    def _messages(self) -> list[Message] | None:
        """Return the messages of a conversation, or None if the value is none."""
        if self._conversation is _NOT_READ:
            self._conversation = conversation_of(self._value())
        conversation: list[Message] | None = self._conversation
        return conversation

    def _unknown_text(self) -> str:
        value = self._value()
        if not isinstance(value, (dict, list, tuple, bool)):
            return text_of(value)
        return encode(self.json if value is self.original else to_jsonable(value)).decode()
