"""One part of an answer, to which chunks add: a text, or a call of a tool."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from .parts import CALL, Part, arguments_text

__all__ = ["StreamedPart"]

# A step of a path as in `$.days[0]['first name']`.
_STEP = re.compile(r"""\.([^.\[\]]+)|\[(\d{1,9})\]|\['([^']*)'\]|\["([^"]*)"\]""")
_MAX_STEPS = 32
_VALUE_FIELDS = (
    ("numberValue", "number_value"),
    ("boolValue", "bool_value"),
)


class _TextPieces:
    """A text within arguments, joined when the call is read."""

    __slots__ = ("pieces",)

    def __init__(self) -> None:
        self.pieces: list[str] = []


class StreamedPart:
    """
    One part of an answer.

    The arguments of a call that *is_object* are written as those of a whole answer, in which they are an object.
    """

    __slots__ = ("_arguments", "_texts", "identifier", "is_object", "kind", "name")

    def __init__(self, kind: str, text: str = "") -> None:
        self.kind, self.name, self.identifier, self.is_object = kind, "", "", False
        self._arguments: dict[str, Any] = {}
        # Joined when the part is read: a string that grows is copied for each piece.
        self._texts = [text] if text else []

    @property
    def has_text(self) -> bool:
        return bool(self._texts)

    def is_followed_by(self, name: str, arguments: str) -> bool:
        """Return whether a piece with a *name* begins another call: of another function, or after whole arguments."""
        if not self.has_text or not self.name:
            return False
        return name != self.name or (bool(arguments) and isinstance(_parsed_object("".join(self._texts)), dict))

    def add_text(self, text: str) -> None:
        if text:
            self._texts.append(text)

    def set_text(self, text: str) -> None:
        self._texts = [text]

    def part(self) -> Part:
        """Return the part as far as it has come."""
        text = "".join(self._texts)
        self._texts = [text] if text else []
        if self.kind != CALL or not self.name:
            return Part(text, self.kind)
        arguments = _as_json(self._arguments) or (_parsed_object(text or "{}") if self.is_object else text)
        return Part(f"{self.name}({arguments_text(arguments)})", CALL)

    def add_argument(self, piece: Mapping[str, Any]) -> None:
        """Add a piece of Gemini's arguments: a value, or the next piece of a text, and its path."""
        path = piece.get("jsonPath") or piece.get("json_path")
        steps = _steps(path) if isinstance(path, str) else []
        if not steps or not isinstance(steps[0], str):
            return
        container: Any = self._arguments
        for index, step in enumerate(steps[:-1]):
            container = _container_at(container, step, [] if isinstance(steps[index + 1], int) else {})
        value = _value(piece, _item_at(container, steps[-1]))
        _set_item(container, steps[-1], value)


def _steps(path: str) -> list[str | int]:
    matches = list(_STEP.finditer(path))[: _MAX_STEPS + 1]
    if len(matches) > _MAX_STEPS:
        return []
    steps: list[str | int] = []
    for match in matches:
        index = match.group(2)
        steps.append(int(index) if index else next(name for name in match.groups() if name is not None))
    return steps


def _as_json(value: Any) -> Any:
    """Return arguments as JSON. No deeper than the steps of a path."""
    if isinstance(value, _TextPieces):
        return "".join(value.pieces)
    if isinstance(value, dict):
        return {name: _as_json(part) for name, part in value.items()}
    return [_as_json(part) for part in value] if isinstance(value, list) else value


def _value(piece: Mapping[str, Any], item: Any) -> Any:
    for names in _VALUE_FIELDS:
        value = next((piece[name] for name in names if piece.get(name) is not None), None)
        if value is not None:
            return value
    text_piece = piece.get("stringValue", piece.get("string_value"))
    if not isinstance(text_piece, str) and any(piece.get(name) is not None for name in ("nullValue", "null_value")):
        return None
    text = item if isinstance(item, _TextPieces) else _TextPieces()
    text.pieces += [text_piece] if isinstance(text_piece, str) else []
    return text


def _item_at(container: Any, step: str | int) -> Any:
    if isinstance(container, list):
        return container[step] if isinstance(step, int) and step < len(container) else None
    return container.get(step) if isinstance(step, str) else None


def _set_item(container: Any, step: str | int, value: Any) -> None:
    if isinstance(container, dict) and isinstance(step, str):
        container[step] = value
    elif isinstance(container, list) and isinstance(step, int) and step <= len(container):
        # Pieces arrive in order: an index beyond the next item is ignored, as items between would have to be made up.
        container[step : step + 1] = [value]


def _container_at(container: Any, step: str | int, empty: Any) -> Any:
    """Return the object or list that *container* has at *step*; a new one where it has none."""
    item = _item_at(container, step)
    if isinstance(item, type(empty)):
        return item
    _set_item(container, step, empty)
    return empty


def _parsed_object(text: str) -> Any:
    """Return the object in a call's arguments, or the text as long as it isn't whole."""
    if not text.endswith("}"):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
