"""One input or output of the app: its text, JSON, system prompt, model and token counts."""

from __future__ import annotations

from typing import Any

from .._shapes.answers import output_text
from .._shapes.figures import Usage, model_name, usage
from .._shapes.media import described
from .._shapes.requests import input_text, system_prompt
from .json_values import encode, text_of, to_jsonable
from .sent_events import parsed

__all__ = ["LoggedValue", "named_counts"]

_NOT_READ: Any = object()


class LoggedValue:
    """
    A value of the app, copied to JSON at most once, when it is first asked for.

    Its shape is read in the copy, so objects of a client library and the dicts of its JSON are the same, and no
    client library is imported. The text of an unknown value is its JSON if it is plain, as the server and the other
    SDKs write it, else its `str`.
    """

    __slots__ = ("_json", "_parsed", "original")

    def __init__(self, value: Any) -> None:
        self.original = value
        self._parsed: Any = _NOT_READ
        self._json: Any = _NOT_READ

    @property
    def json(self) -> Any:
        """The whole value as JSON values. Base64 in it is described."""
        if self._json is _NOT_READ:
            value = self.original
            self._json = described(value if type(value) is str else to_jsonable(value))
        return self._json

    @property
    def shape(self) -> Any:
        """The value as JSON values, parsed if it is bytes: what texts and figures are read from."""
        if self._parsed is _NOT_READ:
            is_bytes = isinstance(self.original, (bytes, bytearray))
            self._parsed = parsed(bytes(self.original)) if is_bytes else self.json
        return self._parsed

    def input_text(self) -> str:
        """Return the user's text. Of a conversation, that is the last user messages joined by newlines."""
        if self.original is None:
            return ""
        text = input_text(self.shape)
        return self._unknown_text() if text is None else text

    def output_text(self) -> str | None:
        """Return the assistant's text, None if there is none, and "" for a chunk without text."""
        if self.original is None:
            return None
        text = output_text(self.shape)
        return self._unknown_text() if text is None else text

    def system_prompt(self) -> str | None:
        """Return the system prompt that the value carries, or None."""
        return system_prompt(self.shape) or None

    def model(self) -> str | None:
        """Return the name of the model that the value carries, or None."""
        return model_name(self.shape) or None

    def usage(self) -> dict[str, int]:
        """Return the token counts that the value carries, by the names of OpenAI and of the server."""
        return named_counts(usage(self.shape))

    def _unknown_text(self) -> str:
        if isinstance(self.original, (dict, list, tuple, bool, bytes, bytearray)):
            return self.shape if isinstance(self.shape, str) else encode(self.shape).decode()
        return text_of(self.original)


def named_counts(used: Usage) -> dict[str, int]:
    """Return token counts as `prompt_tokens`, `completion_tokens` and `total_tokens`, and under the server's names."""
    counts = {
        "prompt_tokens": used.tokens_in,
        "completion_tokens": used.tokens_out,
        "total_tokens": used.total,
        "tokens_in": used.tokens_in,
        "tokens_out": used.tokens_out,
    }
    return {name: count for name, count in counts.items() if count is not None}
