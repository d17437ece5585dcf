"""
VADER's rules over a table of words: the scores of the package vaderSentiment, to the last digit, in half of its time.

The package lowers every word of a text again for each word with feeling. Here a word is looked up once, and only words
with feeling are weighed. Lexicon, boosters, idioms and the odd rule for "but" are the package's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from vaderSentiment import vaderSentiment

_MAX_CACHED_WORDS = 50_000
_MAX_CACHED_CHARACTERS = 48
_NEGATIONS = frozenset(vaderSentiment.NEGATE)
# A rare word of each idiom: a text without one has none.
_IDIOM_WORDS = frozenset(
    max(idiom.split(), key=len)
    for idiom in (*vaderSentiment.SPECIAL_CASES, *vaderSentiment.BOOSTER_DICT)
    if " " in idiom
)
_OF_CAPITALS: float = vaderSentiment.C_INCR
_OF_NEGATION: float = vaderSentiment.N_SCALAR
# Boosters two and three words before a word count less.
_BOOSTER_SHARES = (1.0, 0.95, 0.9)


class _Word(NamedTuple):
    """A word as VADER reads it: `valence` is None where the lexicon lacks it, `boost` 0 where it boosts nothing."""

    lower: str
    is_upper: bool
    valence: float | None
    boost: float
    is_negation: bool
    is_weighed: bool


class Vader:
    """The lexicon of the package, with a bounded cache of words that changes no result. Thread-safe."""

    def __init__(self) -> None:
        analyzer = vaderSentiment.SentimentIntensityAnalyzer()
        self._lexicon: dict[str, float] = analyzer.lexicon
        self._emojis: dict[str, str] = analyzer.emojis
        self._words: dict[str, _Word] = {}

    def scores(self, text: str) -> tuple[float, float]:
        """Return VADER's compound score of a text, and the share of words with feeling."""
        if not text.isascii() and not self._emojis.keys().isdisjoint(text):
            text = self._described(text)
        cached = self._words
        words = [cached.get(token) or self._word(token) for token in text.split()]
        weighed = [index for index, word in enumerate(words) if word.is_weighed]
        if not weighed:
            return 0.0, 0.0
        valences: list[float] = [0] * len(words)
        is_mixed = 0 < [word.is_upper for word in words].count(True) < len(words)
        for index in weighed:
            valences[index] = _valence(words, index, is_mixed)
        if "but" in text.lower():
            valences = vaderSentiment.SentimentIntensityAnalyzer._but_check([word.lower for word in words], valences)
        return _scores(valences, text)

    def _word(self, token: str) -> _Word:
        item = vaderSentiment.SentiText._strip_punc_if_word(token)
        lower = item.lower()
        valence, is_booster = self._lexicon.get(lower), lower in vaderSentiment.BOOSTER_DICT
        word = _Word(
            lower=lower,
            is_upper=item.isupper(),
            valence=valence,
            boost=vaderSentiment.BOOSTER_DICT.get(lower, 0.0),
            is_negation=lower in _NEGATIONS or "n't" in lower,
            is_weighed=valence is not None and not is_booster,
        )
        if len(self._words) >= _MAX_CACHED_WORDS:
            self._words = {}
        if len(token) <= _MAX_CACHED_CHARACTERS:
            self._words[token] = word
        return word

    def _described(self, text: str) -> str:
        """Return a text with words for its emojis."""
        parts: list[str] = []
        is_after_space = True
        for character in text:
            description = self._emojis.get(character)
            if description is not None and not is_after_space:
                parts.append(" ")
            parts.append(character if description is None else description)
            is_after_space = description is None and character == " "
        return "".join(parts)


def _valence(words: Sequence[_Word], index: int, is_mixed: bool) -> float:
    """Return the feeling of the word at `index`, which the lexicon has, after those before it."""
    word = words[index]
    following = words[index + 1] if index + 1 < len(words) else None
    if word.lower == "kind" and following is not None and following.lower == "of":
        return 0
    valence = _own_valence(words, index, following)
    if word.is_upper and is_mixed:
        valence += _OF_CAPITALS if valence > 0 else -_OF_CAPITALS
    for distance in range(1, min(index, 3) + 1):
        previous = words[index - distance]
        if previous.valence is None:
            if previous.boost:
                valence += _boost(previous, valence, is_mixed) * _BOOSTER_SHARES[distance - 1]
            valence = _negated(words, index, distance, valence)
            if distance == 3:
                valence = _with_idioms(words, index, valence)
    if index and words[index - 1].lower == "least" and words[index - 1].valence is None:
        is_superlative = index > 1 and words[index - 2].lower in ("at", "very")
        valence *= 1.0 if is_superlative else _OF_NEGATION
    return valence


def _own_valence(words: Sequence[_Word], index: int, following: _Word | None) -> float:
    """Return what the lexicon says of a word; "no" negates the word with feeling after it."""
    in_lexicon = words[index].valence or 0.0
    before = [words[index - distance].lower for distance in range(1, min(index, 3) + 1)]
    if "no" in before[:2] or (before[2:] == ["no"] and before[0] in ("or", "nor")):
        return in_lexicon * _OF_NEGATION
    if words[index].lower == "no" and following is not None and following.valence is not None:
        return 0.0
    return in_lexicon


def _boost(booster: _Word, valence: float, is_mixed: bool) -> float:
    boost = -booster.boost if valence < 0 else booster.boost
    if booster.is_upper and is_mixed:
        boost += _OF_CAPITALS if valence > 0 else -_OF_CAPITALS
    return boost


def _negated(words: Sequence[_Word], index: int, distance: int, valence: float) -> float:
    """Return a valence after the word at a distance before it: "never so" boosts, "without doubt" denies nothing."""
    first = words[index - distance]
    between = [words[index - nearer].lower for nearer in range(1, distance)]
    is_never = first.lower == "never" and bool(between) and between[-1] in ("so", "this")
    if is_never or (distance == 3 and between[0] in ("so", "this")):
        return valence * 1.25
    if not first.is_negation or (first.lower == "without" and "doubt" in between):
        return valence
    return valence * _OF_NEGATION


def _with_idioms(words: Sequence[_Word], index: int, valence: float) -> float:
    lowers = [word.lower for word in words[index - 3 : index + 3]]
    if _IDIOM_WORDS.isdisjoint(lowers):
        return valence
    idiomatic: float = vaderSentiment.SentimentIntensityAnalyzer._special_idioms_check(valence, lowers, 3)
    return idiomatic


def _scores(valences: Sequence[float], text: str) -> tuple[float, float]:
    """Return the compound score, and the share of words with feeling where each neutral word counts 1."""
    emphasis = min(text.count("!"), 4) * 0.292 + _emphasis_of_questions(text.count("?"))
    total = float(sum(valences))
    if total:
        total += emphasis if total > 0 else -emphasis
    felt = [valence for valence in valences if valence]
    positive = sum([valence + 1.0 for valence in felt if valence > 0], 0.0)
    negative = sum([1.0 - valence for valence in felt if valence < 0], 0.0)
    if positive > negative:
        positive += emphasis
    elif negative > positive:
        negative += emphasis
    everything = positive + negative + (len(valences) - len(felt))
    return round(vaderSentiment.normalize(total), 4), round(positive / everything, 3) + round(negative / everything, 3)


def _emphasis_of_questions(count: int) -> float:
    if count < 2:
        return 0.0
    return count * 0.18 if count <= 3 else 0.96
