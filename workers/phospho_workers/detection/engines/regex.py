"""Patterns, run by RE2: time is linear in the text whatever the pattern, and all patterns are matched in one pass."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import re2

from phospho_schemas.messages import EventDefinition
from phospho_workers.detection.engine import NO_HITS, Hit, Hits, Side, looks_at, shortened

# A set that would be larger is halved. That of a usual project has some kilobytes.
_MAX_SET_BYTES = 64 * 1024 * 1024
# RE2's own default for one pattern.
_MAX_PATTERN_BYTES = 8 * 1024 * 1024
# Linear in the text is not free: RE2 follows every place of a pattern that a text may be at, and counted repetitions
# make places. With three gaps of `.{0,1000}` a text of 5,000 emojis took seconds.
_MAX_UNFOLDED = 1_500
# What a program of single bytes has no room for: characters beyond Latin-1, and classes that may hold only such.
_WIDE = re.compile(r"\\(?:x\{[^}]*\}|[pP](?:\{[^}]*\}|.)|.)|[^\x00-\x7f]", re.DOTALL)


class RegexEngine:
    """
    Finds patterns in RE2's syntax, case-sensitive unless they begin with `(?i)`; `.` does not match a line break.

    The score of a hit is 1, its evidence the first match. A pattern is searched in each side of a task alone.
    """

    def __init__(self, definitions: Sequence[EventDefinition]) -> None:
        self._groups = _grouped(definitions)

    @staticmethod
    def refusal(definition: EventDefinition) -> str | None:
        if not definition.pattern.strip():
            return "it has no pattern"
        try:
            pattern = re2.compile(definition.pattern, _options(_MAX_PATTERN_BYTES))
        except re2.error as error:
            return f"RE2 can't take the pattern: {_reason(error)}"
        if pattern.search("") is not None:
            return "the pattern matches the empty text, so it would be found in every task"
        unfolded = _unfolded(definition.pattern)
        if unfolded > _MAX_UNFOLDED:
            return (
                f"the pattern's counted repetitions unfold to {unfolded:,} steps, and {_MAX_UNFOLDED:,} are the most: "
                "use smaller counts, or * and + instead"
            )
        return None

    def find(self, texts: Sequence[str], side: Side, beside: Sequence[str] = ()) -> Sequence[Hits]:
        return [self._find_one(text, side) for text in texts]

    def _find_one(self, text: str, side: Side) -> Hits:
        found = [hit for group in self._groups for hit in group.find(text, side)]
        return found or NO_HITS


class _Group:
    """
    Definitions that fit one RE2 set, which says in one pass which of them match.

    A set that runs out of memory while it matches says "nothing matches". So each has one pattern more, which
    matches everything: where it is not found, the patterns are searched one by one.
    """

    def __init__(self, definitions: Sequence[EventDefinition]) -> None:
        self._definitions = definitions
        self._patterns = [re2.compile(one.pattern, _options(_MAX_PATTERN_BYTES)) for one in definitions]
        self._everything = len(definitions)
        self._set = re2.Set.SearchSet(_options(_MAX_SET_BYTES))
        for definition in definitions:
            self._set.Add(definition.pattern)
        self._set.Add("")
        self._set.Compile()

    def find(self, text: str, side: Side) -> Hits:
        matched = self._set.Match(text) or range(self._everything)
        if len(matched) == 1 and matched[0] == self._everything:
            return NO_HITS
        return [hit for index in matched if (hit := self._hit(index, text, side)) is not None]

    def _hit(self, index: int, text: str, side: Side) -> Hit | None:
        if index == self._everything or not looks_at(self._definitions[index], side):
            return None
        match = self._patterns[index].search(text)
        return Hit(self._definitions[index], 1.0, shortened(match[0])) if match else None


def _grouped(definitions: Sequence[EventDefinition]) -> list[_Group]:
    """Return groups whose sets compile: halves, and halves of them, where one set would be too large."""
    if not definitions:
        return []
    try:
        return [_Group(definitions)]
    except re2.error:
        if len(definitions) == 1:
            raise
        middle = len(definitions) // 2
        return _grouped(definitions[:middle]) + _grouped(definitions[middle:])


def _unfolded(pattern: str) -> int:
    """
    Return how many steps RE2's program for a pattern has more than the pattern has characters.

    As a program of single bytes: in UTF-8 each class of letters has hundreds of steps, of which a text is at few.
    """
    options = _options(_MAX_PATTERN_BYTES)
    options.encoding = re2.Options.Encoding.LATIN1
    narrow = _WIDE.sub(_narrowed, pattern)
    try:
        return max(0, int(re2.compile(narrow.encode(), options).programsize) - len(narrow))
    except re2.error:
        return 0


def _narrowed(wide: re.Match[str]) -> str:
    if wide[0][:2] in (r"\p", r"\P"):
        return r"\w"
    return r"\xff" if wide[0].startswith(r"\x{") or not wide[0].isascii() else wide[0]


def _options(max_bytes: int) -> Any:
    options = re2.Options()
    options.max_mem = max_bytes
    options.log_errors = False
    return options


def _reason(error: Exception) -> str:
    reason = error.args[0] if error.args else "unknown"
    return reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
