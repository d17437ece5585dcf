# A copy of schemas/phospho_schemas/shapes. `make schemas` writes it.
"""The parts of an answer by their position, to which chunks add."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .parts import ARGUMENT_FIELDS, CALL, PIECE, TEXT, Part, arguments_text, joined
from .streamed_part import StreamedPart

__all__ = ["AUDIO", "BLOCKS", "CALLS", "CONTENT", "REFUSAL", "AnswerParts", "number"]

# A part's position in its answer: the choice, then the order in it.
CONTENT, REFUSAL, AUDIO, CALLS = range(4)
BLOCKS = CALLS


class AnswerParts:
    """One answer, as texts and calls of tools that grow."""

    def __init__(self) -> None:
        self._parts: dict[tuple[int, ...], StreamedPart] = {}
        # The positions of parts below each position, so that none has to be searched for.
        self._descendants: dict[tuple[int, ...], set[tuple[int, ...]]] = {}
        self._positions_of_calls: set[tuple[int, ...]] = set()
        # Where the next piece of a call goes, by its choice and index.
        self._call_positions: dict[tuple[int, int], int] = {}
        # The same by its choice and id, for pieces without an index.
        self._positions_by_id: dict[tuple[int, str], tuple[int, ...]] = {}

    def text(self) -> str:
        """Return the text of the answer so far: of several choices, the first one that has text."""
        if len(self._parts) == 1:
            return next(iter(self._parts.values())).part().text
        choices: dict[int, list[Part]] = {}
        for position in sorted(self._parts):
            choices.setdefault(position[0], []).append(self._parts[position].part())
        return next((text for parts in choices.values() if (text := joined(parts))), "")

    def _grow(self, position: tuple[int, ...], text: Any, kind: str = TEXT) -> None:
        if isinstance(text, str) and text:
            self._part(position, kind).add_text(text)

    def _call(self, position: tuple[int, ...], name: Any, arguments: Any = None) -> None:
        """Begin a call, or add to its arguments."""
        part = self._part(position, CALL)
        if isinstance(name, str) and name != part.name and not part.has_text:
            part.name += name
        part.add_text(arguments_text(arguments))

    def _replace(self, position: tuple[int, ...], parts: list[Part]) -> None:
        """Replace what *position* holds by whole parts."""
        for old_position in (position, *self._descendants.get(position, ())):
            self._remove(old_position)
        for index, part in enumerate(parts):
            self._add_part((*position, index), StreamedPart(part.kind, part.text))

    def _add_calls(self, choice: int, calls: Any) -> None:
        """Add calls of tools: pieces where they have an index, whole ones where they have none."""
        for call in calls if isinstance(calls, list) else ():
            if not isinstance(call, Mapping):
                continue
            nested = next(
                (call[field] for field in ("function", "custom") if isinstance(call.get(field), Mapping)), call
            )
            arguments = next((nested[field] for field in ARGUMENT_FIELDS if nested.get(field) is not None), None)
            name = nested.get("name")
            earlier = self._positions_by_id.get((choice, str(call.get("id")))) if call.get("index") is None else None
            index = number(call, "index", self._count(choice) - (0 if name else 1))
            position = earlier or self._call_position(choice, max(index, 0))
            if earlier is None and isinstance(name, str) and name:
                position = self._position_of_named(position, index, {**nested, "id": call.get("id")})
            self._call(position, name, arguments)

    def _call_position(self, choice: int, index: int) -> tuple[int, ...]:
        return choice, CALLS, self._call_positions.get((choice, index), index)

    def _position_of_named(self, position: tuple[int, ...], index: int, call: Mapping[str, Any]) -> tuple[int, ...]:
        """Return where a piece with a name goes: several calls may have one index, as in Gemini's OpenAI API."""
        part, identifier = self._parts.get(position), call["id"] if isinstance(call["id"], str) else ""
        arguments = next((call[field] for field in ARGUMENT_FIELDS if call.get(field) is not None), None)
        if part is not None and (
            part.identifier not in ("", identifier)
            if identifier and part.identifier
            else part.is_followed_by(call["name"], arguments_text(arguments))
        ):
            position = (position[0], CALLS, self._count(position[0]))
            self._call_positions[position[0], max(index, 0)] = position[2]
        if identifier:
            self._part(position, CALL).identifier = identifier
            self._positions_by_id[position[0], identifier] = position
        return position

    def _count(self, choice: int) -> int:
        return len(self._descendants.get((choice, CALLS), ()))

    def _append(self, choice: int, parts: list[Part]) -> None:
        """Add whole parts behind those of the choice. Pieces continue the last one."""
        for part in parts:
            count = self._count(choice)
            last = self._parts.get((choice, BLOCKS, count - 1))
            if last is not None and last.kind == part.kind == PIECE:
                last.add_text(part.text)
            else:
                self._add_part((choice, BLOCKS, count), StreamedPart(part.kind, part.text))

    def _part(self, position: tuple[int, ...], kind: str) -> StreamedPart:
        """Return the part at *position*, a new one of *kind* if there is none."""
        part = self._parts.get(position)
        return self._add_part(position, StreamedPart(kind)) if part is None else part

    def _add_part(self, position: tuple[int, ...], part: StreamedPart) -> StreamedPart:
        self._parts[position] = part
        if part.kind == CALL:
            self._positions_of_calls.add(position)
        for ancestor in _ancestors(position):
            self._descendants.setdefault(ancestor, set()).add(position)
        return part

    def _remove(self, position: tuple[int, ...]) -> None:
        if self._parts.pop(position, None) is not None:
            self._positions_of_calls.discard(position)
            for ancestor in _ancestors(position):
                self._descendants[ancestor].discard(position)

    def _clear(self) -> None:
        self._parts.clear()
        self._positions_of_calls.clear()
        self._positions_by_id.clear()
        self._descendants.clear()


def _ancestors(position: tuple[int, ...]) -> list[tuple[int, ...]]:
    return [position[:length] for length in range(2, len(position))]


def number(event: Mapping[str, Any], field: str, default: int = 0) -> int:
    """Return the whole number that a field of an event holds."""
    value = event.get(field)
    return int(value) if isinstance(value, (int, float)) and value == value // 1 else default
