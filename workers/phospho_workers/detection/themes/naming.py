"""
Names of themes without an LLM: the phrases that tell a theme from the others, and its most central texts.

A phrase is weighed by class-based TF-IDF: the share of the theme's texts that have it, times the logarithm of how much
more frequent it is there than in all texts. A title is made of the best phrases, as people wrote them.
"""

from __future__ import annotations

import functools
import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from phospho_schemas.text.normalisation import plain

MAX_PHRASES = 8
# A phrase is so many telling words, with at most so many others between them.
_MAX_WORDS = 3
_MAX_BETWEEN = 2
_STEM_CHARACTERS = 5
_MAX_TEXT_CHARACTERS = 1_000
_MIN_TEXTS_OF_PHRASE = 2
_MAX_TITLE_CHARACTERS = 60
# Of the texts with a word, so many have it in one pair of words, which then stands for it.
_CONTEXT_SHARE = 0.12
# A longer phrase says more, even if fewer texts have it.
_WEIGHT_OF_WORDS = (0.0, 1.0, 2.2, 2.6)
_CLAUSE_END = re.compile(r"[.!?;:,()]+(?:\s|$)|\n")
_DIGIT = re.compile(r"\d")
_CACHED_WORDS = 50_000
_WORD = re.compile(r"[^\W_]+(?:['-][^\W_]+)*")
# Words that no phrase begins or ends with: of other languages, rarity against all texts does the work. Courtesies, yes
# and no are not among them: they are what some themes are about.
_STOP_WORD_LIST = (
    "a about actually after again all also am an and any are as at be been before being but by can can't "
    "cannot could did do does doing don't for from further get getting give go got had has have having he "
    "help her here him his how i i'd i'll i'm i've if in into is isn't it it's its just kindly "
    "know let let's like made make many me might more most much must my need now of off ok okay on "
    "once one only or other our out over own please really said say see shall she should so some "
    "something still such sure tell than that that's the their them then there these they thing "
    "things think this those through to too try under until up us use very want was wasn't way we well were "
    "what what's when where which while who why will with won't would yet you you're your der die das und "
    "ich ist nicht ein eine zu mit für wie kann auf es den im le la les de des du un une et est je ne pas "
    "pour que qui dans el los las y en una por para con mi"
)
_STOP_WORDS = frozenset(_STOP_WORD_LIST.split())


class ThemeName(NamedTuple):
    """A short title, and the phrases that it was made of and others, the most telling first."""

    title: str
    phrases: list[str]


class Phrases(NamedTuple):
    """The phrases of some texts, in how many of them each is, how each is written, and one of the texts."""

    texts: int
    counts: Counter[str]
    spellings: Counter[tuple[str, str]]
    example: str


def phrases_of(texts: Sequence[str]) -> Phrases:
    """Return the phrases of texts; each counts once a text."""
    spellings = Counter(chain.from_iterable(map(_phrases_in, texts)))
    return Phrases(len(texts), _counts(spellings), spellings, " ".join(texts[0].split()) if texts else "")


def joined_phrases(parts: Sequence[Phrases]) -> Phrases:
    """Return the phrases of the texts of all parts."""
    spellings = Counter[tuple[str, str]]()
    for part in parts:
        spellings.update(part.spellings)
    example = next((part.example for part in parts if part.example), "")
    return Phrases(sum(part.texts for part in parts), _counts(spellings), spellings, example)


def name_themes(themes: Sequence[Phrases], others: Phrases) -> list[ThemeName]:
    """Return the name of each theme; `others` are of texts without a theme. Titles differ."""
    everything = joined_phrases([others, *themes])
    names, taken = [], set[str]()
    for phrases in themes:
        ranked = _ranked(phrases, everything)
        spelled = _spelled(ranked, phrases.spellings)
        title = distinct_title(spelled or [phrases.example], taken)
        taken.add(title)
        names.append(ThemeName(title, spelled))
    return names


def _counts(spellings: Counter[tuple[str, str]]) -> Counter[str]:
    counts = Counter[str]()
    for (phrase, _), count in spellings.items():
        counts[phrase] += count
    return counts


def _spelled(phrases: Sequence[str], spellings: Counter[tuple[str, str]]) -> list[str]:
    """Return each phrase as most texts write it."""
    best = dict.fromkeys(phrases, (0, ""))
    for (phrase, spelling), count in spellings.items():
        if phrase in best:
            best[phrase] = max(best[phrase], (count, spelling))
    return [spelling for _, spelling in best.values()]


def _phrases_in(text: str) -> Iterable[tuple[str, str]]:
    """Return the phrases of a text, each once, with the way in which it is written first."""
    in_text: dict[str, str] = {}
    for clause in _CLAUSE_END.split(plain(text[:_MAX_TEXT_CHARACTERS])):
        for phrase, spelling in _phrases_of(clause):
            in_text.setdefault(phrase, spelling)
    return in_text.items()


def _phrases_of(clause: str) -> Iterator[tuple[str, str]]:
    """Yield the telling words of each phrase of a clause, and how it is written."""
    written = _WORD.findall(clause)
    lowered = [word.lower() for word in written]
    telling = [index for index, word in enumerate(lowered) if _is_telling(word)]
    for first, begin in enumerate(telling):
        for length, last in enumerate(telling[first : first + _MAX_WORDS], 1):
            if last + 1 - begin - length > _MAX_BETWEEN:
                break
            words = " ".join([lowered[index] for index in telling[first : first + length]])
            yield words, " ".join(written[begin : last + 1])


@functools.lru_cache(maxsize=_CACHED_WORDS)
def _is_telling(word: str) -> bool:
    """Tell whether a word may begin a phrase: numbers and the ids of orders may not."""
    return word not in _STOP_WORDS and len(word) > 1 and _DIGIT.search(word) is None


def _ranked(phrases: Phrases, everything: Phrases) -> list[str]:
    """Return the most telling phrases of a theme, no two of which share a word or its stem."""
    counts, texts = phrases.counts, max(1, phrases.texts)
    least = _MIN_TEXTS_OF_PHRASE if texts > 3 else 1
    weights = {}
    for phrase, count in counts.items():
        if count >= least:
            lift = (count / texts) / (everything.counts[phrase] / everything.texts)
            weights[phrase] = count / texts * math.log1p(lift) * _WEIGHT_OF_WORDS[phrase.count(" ") + 1]
    pairs = _best_pairs(counts)
    ranked: list[str] = []
    for phrase in sorted(weights, key=lambda phrase: (-weights[phrase], phrase)):
        pair = pairs.get(phrase, phrase)
        # A frequent pair reads better than a word alone.
        longer = pair if counts[pair] >= _CONTEXT_SHARE * counts[phrase] else phrase
        stems = _stems(longer)
        if not any(stems & _stems(better) for better in ranked):
            ranked.append(longer)
        if len(ranked) == MAX_PHRASES:
            break
    return ranked


def _stems(phrase: str) -> set[str]:
    """Return the beginnings of the words of a phrase, which "movie" and "movies" share."""
    return {word[:_STEM_CHARACTERS] for word in phrase.split()}


def _best_pairs(counts: Counter[str]) -> dict[str, str]:
    """Return for each word the most frequent phrase of two words that has it."""
    best: dict[str, tuple[int, str]] = {}
    for phrase, count in counts.items():
        if phrase.count(" ") == 1:
            for word in phrase.split():
                best[word] = max(best.get(word, (0, "")), (count, phrase))
    return {word: pair for word, (_, pair) in best.items()}


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
