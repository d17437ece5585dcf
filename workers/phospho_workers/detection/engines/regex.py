"""The regex engine: RE2, so time is linear in the text for any pattern, and all patterns are matched in one pass."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar

import re2

from phospho_schemas.definitions.engines import EngineSpec, engine_spec
from phospho_schemas.messages import EventDefinition
from phospho_workers.detection.engines.engine import NO_MATCHES, Match, Matches, shortened
from phospho_workers.detection.engines.regex_classes import class_warning
from phospho_workers.detection.text.sides import Side, messages_of, reads_side

# A larger set is split in halves. A usual project's has a few kilobytes.
_MAX_SET_BYTES = 64 * 1024 * 1024
# RE2's own default for one pattern.
_MAX_PATTERN_BYTES = 8 * 1024 * 1024
# Linear in the text is not free: RE2 tracks every state of a pattern at once, and counted repetitions multiply states.
# With three gaps of `.{0,1000}` a text of 5,000 emojis took seconds.
_MAX_UNFOLDED = 1_500
# Not expressible in a program of single bytes: characters beyond Latin-1, and classes that may hold only such.
_WIDE = re.compile(r"\\(?:x\{[^}]*\}|[pP](?:\{[^}]*\}|.)|.)|[^\x00-\x7f]", re.DOTALL)


class RegexEngine:
    """
    Find patterns in RE2's syntax, case-sensitive unless they begin with `(?i)`; `.` does not match a line break.

    The score is 1, the evidence the first occurrence. A pattern is searched in each side of a task by itself.
    """

    spec: ClassVar[EngineSpec] = engine_spec("regex")

    def __init__(self, definitions: Sequence[EventDefinition]) -> None:
        self._pattern_sets = _pattern_sets(definitions)

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

    @staticmethod
    def warning(definition: EventDefinition) -> str | None:
        return class_warning(definition.pattern)

    def match(self, texts: Sequence[str], side: Side, other_sides: Sequence[str] = ()) -> Sequence[Matches]:
        return [self._match_text(text, side) for text in texts]

    def _match_text(self, text: str, side: Side) -> Matches:
        messages = messages_of(text)
        if len(messages) == 1:
            matches = [match for pattern_set in self._pattern_sets for match in pattern_set.match(text, side)]
            return matches or NO_MATCHES
        first = {
            match.definition.name: match for message in reversed(messages) for match in self._match_text(message, side)
        }
        return list(first.values()) or NO_MATCHES


class _PatternSet:
    """
    Definitions that fit one RE2 set, which returns in one pass the patterns that match.

    A set that runs out of memory while it matches reports "nothing matches". So each set has an extra pattern that
    matches everything: where it is not reported, the patterns are searched one by one.
    """

    def __init__(self, definitions: Sequence[EventDefinition]) -> None:
        self._definitions = definitions
        self._patterns = [re2.compile(definition.pattern, _options(_MAX_PATTERN_BYTES)) for definition in definitions]
        self._match_all = len(definitions)
        self._set = re2.Set.SearchSet(_options(_MAX_SET_BYTES))
        for definition in definitions:
            self._set.Add(definition.pattern)
        self._set.Add("")
        self._set.Compile()

    def match(self, text: str, side: Side) -> Matches:
        indexes = self._set.Match(text) or range(self._match_all)
        if len(indexes) == 1 and indexes[0] == self._match_all:
            return NO_MATCHES
        return [match for index in indexes if (match := self._match_pattern(index, text, side)) is not None]

    def _match_pattern(self, index: int, text: str, side: Side) -> Match | None:
        if index == self._match_all or not reads_side(self._definitions[index], side):
            return None
        occurrence = self._patterns[index].search(text)
        return Match(self._definitions[index], 1.0, shortened(occurrence[0])) if occurrence else None


def _pattern_sets(definitions: Sequence[EventDefinition]) -> list[_PatternSet]:
    """Return sets that compile: halves, and halves of them, where one set would be too large."""
    if not definitions:
        return []
    try:
        return [_PatternSet(definitions)]
    except re2.error:
        if len(definitions) == 1:
            raise
        middle = len(definitions) // 2
        return _pattern_sets(definitions[:middle]) + _pattern_sets(definitions[middle:])


def _unfolded(pattern: str) -> int:
    """
    Return the number of steps that RE2's program has beyond the characters of the pattern.

    Counted in a program of single bytes: in UTF-8 each class of letters has hundreds of steps, and few are active.
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
