"""
Acts: what somebody does with words, such as to refuse, to apologize, to insult. Phrases tell them, and meaning hardly.

"That is something I don't do" and "let's talk about something else" are refusals, and share no topic with each other
or with the word. So where a description names such an act, the clauses that have a phrase of it score higher, by what
lifts a text with nothing else in common just above the default threshold.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import re2
from numpy.typing import NDArray

from phospho_schemas.text import phrases
from phospho_schemas.text.normalisation import plain
from phospho_workers.detection.semantic.confidence import EVEN_SCORE
from phospho_workers.detection.text.reading import Reading
from phospho_workers.detection.text.sides import Side

# What a phrase adds to the score of its clause: some three standard deviations of a definition's margins.
PHRASE_SCORE = 0.5
# The least score of a clause with a phrase, a little above that of the default threshold.
LEAST_SCORE = EVEN_SCORE + 0.02


@dataclass(frozen=True)
class Act:
    """An act of one side: the words by which descriptions name it, and its phrases."""

    side: Side
    named: re.Pattern[str]
    phrases: tuple[str, ...]


def _act(side: Side, named: str, *alternatives: Sequence[str]) -> Act:
    return Act(side, re.compile(rf"\b(?:{named})\b", re.IGNORECASE), tuple(p for part in alternatives for p in part))


_ACTS = (
    _act(
        "output",
        r"refus\w+|declin\w+ (?:to|the (?:request|question))|(?:won't|will not|can't|cannot|doesn't|does not"
        r"|unwilling to|unable to) (?:answer|help|comply)|rejects? the (?:request|question)",
        phrases.REFUSAL,
    ),
    _act("output", r"apologi\w+|apology|says? (?:\w+ )?sorry", phrases.APOLOGY, phrases.MORE_APOLOGIES),
    _act(
        "output",
        r"(?:asks?|checks?|wants?|seeks?|requests?)\b.*\b(?:confirm\w*|verif\w+|permission|approv\w+|is correct"
        r"|is right)|double-?checks?",
        phrases.ASKS_CONFIRMATION,
        phrases.MORE_CONFIRMATIONS,
    ),
    _act("output", r"asks? .*\bquestions?|clarif\w+|asks? (?:how|what|why|whether|if)", phrases.QUESTION),
    _act("output", r"advi[cs]e\w*|suggest\w*|recommend\w*|proposes?", phrases.ADVICE, phrases.MORE_ADVICE),
    _act("output", r"hints?|guides? the|next step|nudg\w+|scaffold\w*|socratic", phrases.HINT),
    _act(
        "output",
        r"(?:reveals?|tells?|gives?|states?|says?)(?: away)?(?: the \w+)? the (?:\w+ )?(?:answer|solution|result)"
        r"|corrects?|points? out",
        phrases.ANSWER,
    ),
    _act(
        "output",
        r"(?:asks?|wants?|prob\w+)\b.*\b(?:explain|thinking|reasoning|how (?:they|he|she) (?:got|arrived)|their work"
        r"|their steps)|prob(?:es|ing)",
        phrases.ASKS_TO_EXPLAIN,
    ),
    _act("output", r"encourag\w+|reassur\w+|comforts?|affirm\w*|cheers? \w+ up", phrases.REASSURANCE),
    _act(
        "output",
        r"empath\w+|sympath\w+|(?:describes?|names?|reflects?|acknowledges?|validates?)\b.*\bfeel(?:s|ings?)?",
        phrases.FEELINGS,
    ),
    _act("output", r"sums? up|paraphras\w+|restat\w+|in (?:its|other|their) own words", phrases.RESTATEMENT),
    _act("output", r"own (?:\w+ )?(?:experiences?|story|life)|discloses? \w+self", phrases.OWN_EXPERIENCE),
    _act("output", r"greet\w*|welcom\w+|says? hello", phrases.GREETING),
    _act("output", r"prais\w+|compliment\w*", phrases.PRAISE),
    _act("output", r"goodbye|farewell|says? bye", phrases.FAREWELL),
    _act(
        "output",
        r"(?:leak|reveal|disclos|expos|repeat|print|show|quot)\w*\b.*\b(?:prompt|instructions|rules|guidelines)",
        phrases.PROMPT_LEAK,
    ),
    _act("output", r"uncertain\w*|unsure|hedg\w+|(?:doesn't|does not|not) know|lacks? \w+", phrases.UNCERTAINTY),
    _act("output", r"escalat\w+|hands? over|transfers? the user|hand-?over", phrases.HANDOVER),
    _act(
        "input",
        r"abus\w+|insult\w*|rude\w*|offens\w+|hostil\w+|harass\w*|threat\w*|toxic|profan\w+|swear\w*"
        r"|calls? the assistant",
        phrases.INSULT,
        phrases.MORE_INSULTS,
    ),
    _act("input", r"suicid\w*|self-?harm\w*|(?:hurt|kill|harm)\w* (?:themsel\w+|himself|herself)", phrases.SELF_HARM),
    _act(
        "input",
        r"jailbreak\w*|prompt injection|(?:ignore|bypass|circumvent|override)\w*\b.*\b(?:rules|instructions|prompt"
        r"|guidelines|restrictions|safety)|reveal\w*\b.*\bprompt",
        phrases.JAILBREAK,
    ),
    _act(
        "input",
        r"human|real person|representative|(?:talk|speak|connected|transferred) (?:to|with) (?:an? |some)?"
        r"(?:person|one|body|agent)",
        phrases.ASKS_FOR_HUMAN,
    ),
    _act(
        "input",
        r"(?:say|repeat)s?\b.*\b(?:again|repeat|once more)|to repeat (?:that|it|what|the)",
        phrases.ASKS_TO_REPEAT,
    ),
)


class ActScores:
    """The phrases of the acts that descriptions of one side name, which raise their scores."""

    def __init__(self, descriptions: Sequence[str], side: Side) -> None:
        named = {column: _phrases_of(description, side) for column, description in enumerate(descriptions)}
        self._patterns = {column: alternatives for column, alternatives in named.items() if alternatives}

    def add_to(self, scores: NDArray[np.float64], batch: Reading) -> None:
        """Raise the scores of clauses with a phrase, and of the whole texts that have one."""
        if not self._patterns:
            return
        clauses = [plain(clause) for text_clauses in batch.clauses for clause, _ in text_clauses]
        for column, pattern in self._patterns.items():
            compiled = _compiled(pattern)
            rows = np.fromiter((compiled.search(clause) is not None for clause in clauses), dtype=bool)
            of_texts = np.logical_or.reduceat(rows, batch.firsts)
            has_phrase = np.r_[rows, of_texts[batch.wholes]]
            raised = np.maximum(scores[has_phrase, column] + PHRASE_SCORE, LEAST_SCORE)
            scores[has_phrase, column] = raised


def _phrases_of(description: str, side: Side) -> str:
    """Return the alternatives of all acts that a description names; empty where it names none."""
    read = plain(description)
    return "|".join(p for act in _ACTS if act.side == side and act.named.search(read) for p in act.phrases)


@functools.lru_cache(maxsize=256)
def _compiled(alternatives: str) -> re.Pattern[str]:
    compiled: re.Pattern[str] = re2.compile(f"(?i)(?:{alternatives})")
    return compiled
