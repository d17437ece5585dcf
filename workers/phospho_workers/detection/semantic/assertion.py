"""
Rules that tell whether a text asserts what it is about, or denies, quotes or only mentions it.

An embedding hardly knows "I want a refund" from "I don't want a refund". So the words around the clauses that show an
event are read by rules for English (`denials`, `mentions`). A text that may not mean the event is not refused: its
confidence falls into doubt.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from phospho_schemas.text.normalisation import plain
from phospho_workers.detection.semantic.denials import (
    ShowsEvent,
    denies_interest,
    is_denied,
    problem_stems,
    says_no_problem,
    shows_in_rest,
)
from phospho_workers.detection.semantic.library import description_core
from phospho_workers.detection.semantic.mentions import (
    MAX_TEXT_CHARACTERS,
    is_quoted,
    mention_in,
    others_in,
    verb_of_request,
)

# The share of its confidence that a text keeps where it may not mean an event: below the default threshold, and near
# enough to it for a judge to be asked.
UNASSERTED_SHARE = 0.45
# Rules read this much of a clause. Sentences are shorter.
MAX_CLAUSE_CHARACTERS = 1_000

_NEGATED_DESCRIPTION = re.compile(
    r"\b(?:not|never|no|nothing|nobody|without|can't|cannot|unable)\b|n't\b", re.IGNORECASE
)
_ABOUT = re.compile(
    r"\b(?:mentions?|quotes?|asks? (?:about|what|how|why|whether|if|when|where|which|who|"
    r"for (?:an? )?(?:explanation|definition|translation|summary))|wants? to know)\b",
    re.IGNORECASE,
)
# Descriptions of what is said about, or done to, others, and of texts whoever speaks in them.
_ABOUT_OTHERS = re.compile(
    r"\b(?:somebody|someone|anybody|people|others?|person|family|friends?|customers?|\w*insult\w*|abus\w*|harass\w*|"
    r"threat\w*|violen\w*|hat\w*)\b"
)
_OF_TEXTS = re.compile(r"\s*(?:the|this) (?:text|message|content|conversation)\b", re.IGNORECASE)
# Descriptions of requests for such things: "write an email" is one.
_TEXTS = re.compile(r"\b(?:code|text|poem|story|essay|e-?mail|letter|list|to be \w+ed|write|writing)\b")
_NOUN = re.compile(r"[^\W\d_]{4,}")


@dataclass(frozen=True)
class Reader:
    """The rules for one description, compiled once."""

    problems: frozenset[str]
    is_negated: bool
    is_question: bool
    reads_mentions: bool
    is_of_user: bool
    core: str

    @classmethod
    def of(cls, description: str) -> Reader:
        core = description_core(plain(description)).lower()
        is_question = _ABOUT.search(core) is not None
        is_of_texts = _OF_TEXTS.match(description) is not None
        return cls(
            problems=problem_stems(core),
            is_negated=_NEGATED_DESCRIPTION.search(core) is not None,
            is_question=is_question,
            reads_mentions=not is_question and not is_of_texts,
            is_of_user=not is_question and not is_of_texts and _ABOUT_OTHERS.search(core) is None,
            core=core,
        )

    def asserting(self, text: str, clauses: Sequence[str], *, is_user: bool, shows_event: ShowsEvent) -> str | None:
        """
        Return the first of the `clauses` of a text by which it asserts the event; None where it may only deny it.

        `shows_event` tells whether a part of a clause shows the event by itself. A clause is read to its
        MAX_CLAUSE_CHARACTERS, a text to MAX_TEXT_CHARACTERS.
        """
        text = plain(text[:MAX_TEXT_CHARACTERS])
        for clause in clauses:
            read = plain(clause[:MAX_CLAUSE_CHARACTERS])
            if self._is_denied(read, shows_event):
                continue
            if not (is_user and self._is_mentioned(text, read, shows_event)):
                return clause
        return None

    def _is_denied(self, clause: str, shows_event: ShowsEvent) -> bool:
        if self.is_question:
            return denies_interest(clause, shows_event)
        if not self.is_negated and is_denied(clause, self.core, self.problems, shows_event):
            return True
        return bool(self.problems or self.is_negated) and says_no_problem(clause, shows_event)

    def _is_mentioned(self, text: str, clause: str, shows_event: ShowsEvent) -> bool:
        if self.is_of_user and (others := others_in(clause)) and not shows_in_rest(clause, others, shows_event):
            return True
        if not self.reads_mentions:
            return False
        return (
            self._is_request(verb_of_request(text))
            or self._is_other(mention_in(text, clause))
            or is_quoted(text, clause)
        )

    def _is_request(self, verb: str) -> bool:
        """Return True for the verb of a request, unless the description itself is about such requests."""
        return bool(verb) and verb not in self.core and _TEXTS.search(self.core) is None

    def _is_other(self, mention: str) -> bool:
        """Return True for the words of a mention, unless the description has one of their nouns itself."""
        return bool(mention) and not any(word.lower() in self.core for word in _NOUN.findall(mention))
