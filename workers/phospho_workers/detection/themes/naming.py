"""
Names of themes without an LLM: the phrases that tell a theme from the others, and its most central texts.

A phrase is weighed by class-based TF-IDF: the share of the theme's texts that have it, times the logarithm of how much
more frequent it is there than in all texts. A title is made of the best phrases, as people wrote them.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from phospho_schemas.normalisation import plain

MAX_PHRASES = 8
# A phrase is so many telling words, with at most so many others between them.
_MAX_WORDS = 3
_MAX_BETWEEN = 2
_MAX_TEXT_CHARACTERS = 1_000
_MIN_TEXTS_OF_PHRASE = 2
_MAX_TITLE_CHARACTERS = 60
# Of the texts with a word, so many have it in one pair of words, which then stands for it.
_CONTEXT_SHARE = 0.12
# A longer phrase says more, even if fewer texts have it.
_WEIGHT_OF_WORDS = (0.0, 1.0, 2.2, 2.6)
_CLAUSE_END = re.compile(r"[.!?;:,()\n]+(?:\s|$)")
_WORD = re.compile(r"[^\W_]+(?:['-][^\W_]+)*")
# Words that no phrase begins or ends with: of other languages, rarity against all texts does the work.
_STOP_WORD_LIST = (
    "a about actually after again all also am an and any are as at be been before being but by can can't "
    "cannot could did do does doing don't for from further get getting give go got had has have having he "
    "hello help her here hey hi him his how i i'd i'll i'm i've if in into is isn't it it's its just kindly "
    "know let let's like made make many me might more most much must my need no not now of off ok okay on "
    "once one only or other our out over own please really right said same say see shall she should so some "
    "something still such sure tell than thank thanks that that's the their them then there these they thing "
    "things think this those through to too try under until up us use very want was wasn't way we well were "
    "what what's when where which while who why will with won't would yes yet you you're your der die das und "
    "ich ist nicht ein eine zu mit für wie kann auf es den im le la les de des du un une et est je ne pas "
    "pour que qui dans el los las y en una por para con mi"
)
_STOP_WORDS = frozenset(_STOP_WORD_LIST.split())


class ThemeName(NamedTuple):
    """A short title, and the phrases that it was made of and others, the most telling first."""

    title: str
    phrases: list[str]


class _Phrases(NamedTuple):
    """The phrases of texts, each counted once a text, and how each is written most often."""

    counts: Counter[str]
    spellings: dict[str, Counter[str]]


def name_themes(texts: Sequence[Sequence[str]], others: Sequence[str] = ()) -> list[ThemeName]:
    """Return the name of each theme, from the texts of each; `others` are texts without a theme. Titles differ."""
    by_theme = [_phrases(theme_texts) for theme_texts in texts]
    all_counts = _phrases(others).counts
    for phrases in by_theme:
        all_counts = all_counts + phrases.counts
    total = max(1, sum(map(len, texts)) + len(others))
    names, taken = [], set[str]()
    for phrases, theme_texts in zip(by_theme, texts, strict=True):
        ranked = _ranked(phrases.counts, len(theme_texts), all_counts, total)
        spelled = [phrases.spellings[phrase].most_common(1)[0][0] for phrase in ranked]
        title = distinct_title(spelled or [" ".join(text.split()) for text in theme_texts[:1]], taken)
        taken.add(title)
        names.append(ThemeName(title, spelled[:MAX_PHRASES]))
    return names


def _phrases(texts: Iterable[str]) -> _Phrases:
    counts: Counter[str] = Counter()
    spellings: dict[str, Counter[str]] = {}
    for text in texts:
        in_text: dict[str, str] = {}
        for clause in _CLAUSE_END.split(plain(text[:_MAX_TEXT_CHARACTERS])):
            for phrase, spelling in _phrases_of(clause):
                in_text.setdefault(phrase, spelling)
        counts.update(in_text.keys())
        for phrase, spelling in in_text.items():
            spellings.setdefault(phrase, Counter())[spelling] += 1
    return _Phrases(counts, spellings)


def _phrases_of(clause: str) -> Iterator[tuple[str, str]]:
    """Yield the telling words of each phrase of a clause, and how it is written."""
    written = _WORD.findall(clause)
    telling = [index for index, word in enumerate(written) if _is_telling(word.lower())]
    for first in range(len(telling)):
        for last in range(first, min(first + _MAX_WORDS, len(telling))):
            begin, end = telling[first], telling[last] + 1
            if end - begin - (last - first + 1) <= _MAX_BETWEEN:
                words = " ".join(written[index].lower() for index in telling[first : last + 1])
                yield words, " ".join(written[begin:end])


def _is_telling(word: str) -> bool:
    """Tell whether a word may begin a phrase: numbers and the ids of orders may not."""
    return word not in _STOP_WORDS and len(word) > 1 and not any(character.isdigit() for character in word)


def _ranked(counts: Counter[str], texts: int, all_counts: Counter[str], total: int) -> list[str]:
    """Return the most telling phrases of a theme, no two of which share a word."""
    least = _MIN_TEXTS_OF_PHRASE if texts > 3 else 1
    weights = {}
    for phrase, count in counts.items():
        if count >= least:
            lift = (count / max(1, texts)) / (all_counts[phrase] / total)
            weights[phrase] = count / max(1, texts) * math.log1p(lift) * _WEIGHT_OF_WORDS[phrase.count(" ") + 1]
    ranked: list[str] = []
    for phrase in sorted(weights, key=lambda phrase: (-weights[phrase], phrase)):
        longer = _with_context(phrase, counts)
        words = set(longer.split())
        if not any(words & set(better.split()) for better in ranked):
            ranked.append(longer)
        if len(ranked) == MAX_PHRASES:
            break
    return ranked


def _with_context(word: str, counts: Counter[str]) -> str:
    """Return the most frequent phrase of two words that has a word, if it is frequent: it reads better alone."""
    if " " in word:
        return word
    pairs = [phrase for phrase in counts if phrase.count(" ") == 1 and word in phrase.split()]
    best = max(pairs, key=lambda phrase: (counts[phrase], phrase), default=word)
    return best if counts[best] >= _CONTEXT_SHARE * counts[word] else word


def distinct_title(phrases: Sequence[str], taken: Collection[str]) -> str:
    """Return a title of one to four phrases that is not taken."""
    for number in (2, 3, 1, 4):
        title = _shortened(", ".join(phrases[:number]) or "Theme")
        if title not in taken:
            return title
    return next(numbered for n in range(2, len(taken) + 3) if (numbered := f"{title} ({n})") not in taken)


def _shortened(title: str) -> str:
    if len(title) > _MAX_TITLE_CHARACTERS:
        title = title[:_MAX_TITLE_CHARACTERS].rsplit(" ", 1)[0].rstrip(", ") + "…"
    return title[:1].upper() + title[1:]
