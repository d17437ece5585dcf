"""Keywords: one Aho-Corasick automaton for every keyword of every definition of a project."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import ahocorasick

from phospho_schemas.messages import EventDefinition
from phospho_workers.detection.engine import NO_HITS, Hit, Hits, Side, looks_at, shortened
from phospho_workers.detection.text.folding import folded

MAX_KEYWORD_CHARACTERS = 100
# Phrases inside of phrases can stand at every word of a huge text; what comes after so many is not looked at.
_MAX_MATCHES = 100_000

# A definition, and a keyword of it as its author wrote it.
Owner = tuple[EventDefinition, str]


class KeywordEngine:
    """
    Finds whole words and phrases; the score of a hit is 1, its evidence the keywords, in the order of their ends.

    A keyword counts where it is not a part of a longer word; keywords that overlap are all found. The cost does not
    depend on the number of keywords, save for those that match.
    """

    def __init__(self, definitions: Sequence[EventDefinition]) -> None:
        owners: dict[str, list[Owner]] = {}
        for definition in definitions:
            spellings = {folded(keyword): " ".join(keyword.split()) for keyword in reversed(definition.keywords)}
            for words, keyword in spellings.items():
                owners.setdefault(words, []).append((definition, keyword))
        self._automaton = ahocorasick.Automaton()
        for words, owned in owners.items():
            if words.strip():
                self._automaton.add_word(words, owned)
        self._automaton.make_automaton()

    @staticmethod
    def refusal(definition: EventDefinition) -> str | None:
        if not any(folded(keyword).strip() for keyword in definition.keywords):
            return "it has no keywords: give at least one word or phrase"
        longest = max(definition.keywords, key=len)
        if len(longest) > MAX_KEYWORD_CHARACTERS:
            return f"the keyword {longest[:40]!r}… is longer than {MAX_KEYWORD_CHARACTERS} characters"
        return None

    def find(self, texts: Sequence[str], side: Side, beside: Sequence[str] = ()) -> Sequence[Hits]:
        return [self._find_one(folded(text), side) for text in texts]

    def _find_one(self, words: str, side: Side) -> Hits:
        # A keyword that many definitions share may stand in a text many times; its owners are walked once.
        matches = {id(owned): owned for _, owned in islice(self._automaton.iter(words), _MAX_MATCHES)}
        if not matches:
            return NO_HITS
        found: dict[str, dict[str, None]] = {}
        definitions: dict[str, EventDefinition] = {}
        for definition, keyword in (owner for owned in matches.values() for owner in owned):
            if looks_at(definition, side):
                definitions[definition.name] = definition
                found.setdefault(definition.name, {})[keyword] = None
        return [Hit(definitions[name], 1.0, shortened(", ".join(keywords))) for name, keywords in found.items()]
