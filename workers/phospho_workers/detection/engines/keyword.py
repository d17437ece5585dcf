"""The keyword engine: one Aho-Corasick automaton for every keyword of every definition of a project."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import ClassVar

import ahocorasick

from phospho_schemas.definitions.engines import EngineSpec, engine_spec
from phospho_schemas.messages import EventDefinition
from phospho_workers.detection.engines.engine import NO_MATCHES, Match, Matches, shortened
from phospho_workers.detection.text.folding import folded, folded_keyword
from phospho_workers.detection.text.sides import Side, messages_of, reads_side

MAX_KEYWORD_CHARACTERS = 100
# Nested phrases can match at every word of a huge text; matches after so many are ignored.
_MAX_MATCHES = 100_000

# A definition, and one of its keywords as its author wrote it.
Owner = tuple[EventDefinition, str]


class KeywordEngine:
    """
    Find whole words and phrases. The score is 1, the evidence the keywords in the order in which they end.

    A keyword inside a longer word does not count. Keywords that overlap are all found. The cost depends on the number
    of keywords that match, and not on how many there are.
    """

    spec: ClassVar[EngineSpec] = engine_spec("keyword")

    def __init__(self, definitions: Sequence[EventDefinition]) -> None:
        owners_by_words: dict[str, list[Owner]] = {}
        for definition in definitions:
            spellings = {
                words: " ".join(keyword.split())
                for keyword in reversed(definition.keywords)
                for words in folded_keyword(keyword)
            }
            for words, keyword in spellings.items():
                owners_by_words.setdefault(words, []).append((definition, keyword))
        self._automaton = ahocorasick.Automaton()
        for words, owners in owners_by_words.items():
            if words.strip():
                self._automaton.add_word(words, owners)
        self._automaton.make_automaton()

    @staticmethod
    def refusal(definition: EventDefinition) -> str | None:
        if not any(folded(keyword).strip() for keyword in definition.keywords):
            return "it has no keywords: give at least one word or phrase"
        longest = max(definition.keywords, key=len)
        if len(longest) > MAX_KEYWORD_CHARACTERS:
            return f"the keyword {longest[:40]!r}… is longer than {MAX_KEYWORD_CHARACTERS} characters"
        return None

    @staticmethod
    def warning(definition: EventDefinition) -> str | None:
        return None

    def match(self, texts: Sequence[str], side: Side, other_sides: Sequence[str] = ()) -> Sequence[Matches]:
        return [self._match_text(text, side) for text in texts]

    def _match_text(self, text: str, side: Side) -> Matches:
        # By identity: many definitions may share a keyword that a text repeats, and its owners are walked once.
        matches = (match for message in messages_of(text) for match in self._automaton.iter(folded(message)))
        owner_lists = {id(owners): owners for _, owners in islice(matches, _MAX_MATCHES)}
        if not owner_lists:
            return NO_MATCHES
        keywords_by_name: dict[str, dict[str, None]] = {}
        definitions: dict[str, EventDefinition] = {}
        for definition, keyword in (owner for owners in owner_lists.values() for owner in owners):
            if reads_side(definition, side):
                definitions[definition.name] = definition
                keywords_by_name.setdefault(definition.name, {})[keyword] = None
        return [
            Match(definitions[name], 1.0, shortened(", ".join(keywords))) for name, keywords in keywords_by_name.items()
        ]
