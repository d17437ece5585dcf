"""The parts of a text that show an event: its evidence, found as search compares texts."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice, pairwise
from typing import Any

from markupsafe import Markup, escape

from phospho_schemas.definitions.engines import engines_with
from phospho_schemas.text.normalisation import searchable

MAX_OCCURRENCES = 50
# The characters of an excerpt before and after what it is about.
_BEFORE, _AFTER = 60, 120
# Marks of Markdown, which the formatted text does not show.
_SYNTAX = frozenset("*_`~#|[]>")
_LINK_TARGET = re.compile(r"\]\([^)\s]*\)")
_LIST_MARKER = re.compile(r"^\s*(?:[-*+]|\d+[.)])\s+")
# From Thai on, scripts put no space between words or write particles onto them.
_FIRST_UNSPACED = "\u0e00"
_ENGINES_OF_KEYWORDS = frozenset(engines_with(lambda spec: spec.evidence_is_keywords))


@dataclass(frozen=True)
class Highlight:
    """A part of a text, and the names of the events that it shows."""

    start: int
    end: int
    names: tuple[str, ...]


@dataclass(frozen=True)
class _Folded:
    """The searchable form of a text, with the start and the end in the text of each of its characters."""

    text: str
    starts: Sequence[int]
    ends: Sequence[int]


def highlights(text: str, events: Iterable[Mapping[str, Any]], *, is_formatted: bool = False) -> list[Highlight]:
    """
    Return the parts of `text` that show `events`, in order and without overlap.

    Each keyword is highlighted wherever it is a word, at most 50 times; other evidence once. `is_formatted` tells text
    that is shown without its marks of Markdown, which the evidence may have.
    """
    phrases = [(name, phrase) for name, phrase in _phrases(events, is_formatted=is_formatted) if phrase.text]
    if not phrases:
        return []
    folded = _folded(text, is_formatted=is_formatted)
    parts = [
        Highlight(folded.starts[start], folded.ends[start + len(phrase.text) - 1], (name,))
        for name, phrase in phrases
        for start in phrase.occurrences(folded.text)
    ]
    return list(_merge_overlaps(parts))


def excerpt(texts: Iterable[str], phrase: str) -> Markup:
    """Return the part of the first of `texts` that has a phrase, as search compares texts; empty where none has it."""
    for text in texts:
        parts = highlights(text, [{"name": "match", "evidence": phrase}])
        if parts:
            start, end = max(parts[0].start - _BEFORE, 0), parts[0].end + _AFTER
            html = marked(text[start:end], start, parts)
            return Markup("{}{}{}").format("…" if start else "", html, "…" if end < len(text) else "")
    return Markup()


def marked(text: str, start: int, parts: Sequence[Highlight]) -> Markup:
    """Return a piece of a text that begins at `start` as HTML, with `<mark>` around its highlights."""
    html, position = Markup(), 0
    for part in parts:
        first, last = max(part.start - start, 0), min(part.end - start, len(text))
        if first >= last:
            continue
        html += escape(text[position:first])
        html += Markup('<mark title="{}">{}</mark>').format(", ".join(part.names), text[first:last])
        position = last
    return html + escape(text[position:])


@dataclass(frozen=True)
class _Phrase:
    text: str
    is_keyword: bool

    def occurrences(self, folded: str) -> Iterator[int]:
        """Yield where a folded text has this phrase: a keyword as a whole word, other evidence once."""
        starts = (match.start() for match in re.finditer(re.escape(self.text), folded))
        if not self.is_keyword:
            return islice(starts, 1)
        return islice((start for start in starts if self._is_word(folded, start)), MAX_OCCURRENCES)

    def _is_word(self, folded: str, start: int) -> bool:
        end = start + len(self.text)
        return not _goes_on(folded[max(start - 1, 0) : start + 1]) and not _goes_on(folded[end - 1 : end + 1])


def _goes_on(characters: str) -> bool:
    """Tell whether a word goes on from the first of two characters to the second."""
    return len(characters) > 1 and all(letter.isalnum() and letter < _FIRST_UNSPACED for letter in characters)


def _phrases(events: Iterable[Mapping[str, Any]], *, is_formatted: bool) -> Iterator[tuple[str, _Phrase]]:
    for event in events:
        evidence = event.get("evidence", "").removesuffix("…")
        is_keyword = event.get("engine") in _ENGINES_OF_KEYWORDS
        if is_formatted and not is_keyword:
            evidence = _LIST_MARKER.sub("", _LINK_TARGET.sub("]", evidence))
        # Keywords are listed; a keyword that has a comma itself is looked for as well.
        for phrase in dict.fromkeys([evidence, *evidence.split(", ")] if is_keyword else [evidence]):
            yield event["name"], _Phrase(_folded(phrase, is_formatted=is_formatted).text.strip(), is_keyword)


def _folded(text: str, *, is_formatted: bool) -> _Folded:
    characters: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    for start, end in pairwise([*_cluster_starts(text), len(text)]):
        cluster = text[start:end]
        shown = " " if cluster.isspace() else "" if is_formatted and cluster in _SYNTAX else _folded_cluster(cluster)
        if shown == " " and characters[-1:] == [" "]:
            continue
        characters += shown
        starts += [start] * len(shown)
        ends += [end] * len(shown)
    return _Folded("".join(characters), starts, ends)


def _cluster_starts(text: str) -> Iterator[int]:
    """Yield where each letter begins; marks that combine with it belong to it."""
    if text.isascii():
        yield from range(len(text))
        return
    yield from (index for index, letter in enumerate(text) if index == 0 or not unicodedata.combining(letter))


@lru_cache(4096)
def _folded_cluster(cluster: str) -> str:
    return searchable(cluster)


def _merge_overlaps(parts: list[Highlight]) -> Iterator[Highlight]:
    """Yield highlights in order, those that overlap as one with the names of all."""
    current: Highlight | None = None
    for part in sorted(parts, key=lambda part: (part.start, part.end)):
        if current is not None and part.start < current.end:
            names = tuple(dict.fromkeys(current.names + part.names))
            current = Highlight(current.start, max(current.end, part.end), names)
            continue
        if current is not None:
            yield current
        current = part
    if current is not None:
        yield current
