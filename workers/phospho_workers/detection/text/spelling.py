"""
Mistyped English words: what somebody probably meant.

A static embedding knows a word by its pieces, and a mistyped one has the pieces of other words. So a word in lower case
that is not in a vocabulary is read as the most frequent word of it that is one edit away: a letter left out, added,
replaced, or two swapped. The first letter stays: people rarely mistype it, and more names stay as they are.

The vocabulary is indexed by its words with a letter blanked, so a word is looked up by its own letters blanked, and not
by the hundreds of words that are an edit away.
"""

from __future__ import annotations

import functools
import json
import re
import threading
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass

from phospho_workers.detection.text.packages import MINILM_TOKENIZER, checked_path

# Shorter words are one edit away from too many others; longer ones are hardly words.
_MIN_LETTERS = 4
_MAX_LETTERS = 20
_WORD = re.compile(r"(\W*)([a-z]+)((?:'[a-z]+)?\W*)", re.ASCII)
_LETTERS = re.compile(r"[^\W\d_]{3,}")
# Of a word whose rest is known, such as "relabelled" of "relabel".
_ENDINGS = ("s", "es", "ies", "d", "ed", "ing", "er", "ers", "ly", "y", "ness", "able")
_MIN_STEM = 3
# Of a clause with at least so many words in lower case, at least this share are words if it is English.
_MIN_WORDS = 4
_MIN_ENGLISH_SHARE = 1 / 3
_BLANK = " "


@dataclass(frozen=True)
class _Vocabulary:
    """
    English words.

    ranks: the place of each word, the most frequent first.
    blanked: the most frequent word for each word with a letter behind the first one blanked.
    begins, ends: the first and the last letters of words.
    """

    ranks: Mapping[str, int]
    blanked: Mapping[str, str]
    begins: frozenset[str]
    ends: frozenset[str]


def corrected(word: str) -> str:
    """Return a word, with the marks around it, as it was probably meant; most words are returned as they are."""
    match = _WORD.fullmatch(word)
    if match is None or not _MIN_LETTERS <= len(match[2]) <= _MAX_LETTERS:
        return word
    vocabulary = _vocabulary()
    if not vocabulary.ranks or _is_word(match[2], vocabulary.ranks):
        return word
    correction = min(_one_edit_away(match[2], vocabulary), key=vocabulary.ranks.__getitem__, default=match[2])
    return f"{match[1]}{correction}{match[3]}"


def is_foreign(words: Iterable[str]) -> bool:
    """Return True for the words of a clause that is long enough to tell, and most words of which are not English."""
    matches = (_WORD.fullmatch(word) for word in words)
    letters = [match[2] for match in matches if match is not None and len(match[2]) >= _MIN_LETTERS]
    if len(letters) < _MIN_WORDS:
        return False
    ranks = _vocabulary().ranks
    return sum(_is_word(word, ranks) for word in letters) < _MIN_ENGLISH_SHARE * len(letters)


def word_share(text: str, more_words: Container[str] = ()) -> float:
    """Return the share of words that are English, of `more_words`, or capitalized; 1 where that can't be told."""
    ranks = _vocabulary().ranks
    words: list[str] = _LETTERS.findall(text)
    if not ranks or not words:
        return 1.0
    return sum(word[0].isupper() or word in more_words or _is_english(word, ranks) for word in words) / len(words)


def _is_english(word: str, ranks: Mapping[str, int]) -> bool:
    return _is_word(word, ranks) or _is_compound(word, ranks)


def _is_compound(word: str, ranks: Mapping[str, int]) -> bool:
    """Return True for two words written as one: "chargeback"."""
    cuts = range(_MIN_LETTERS, len(word) - _MIN_LETTERS + 1)
    return any(word[:cut] in ranks and _is_word(word[cut:], ranks) for cut in cuts)


def _is_word(word: str, ranks: Mapping[str, int]) -> bool:
    """Return True for words of the vocabulary and their usual forms."""
    return word in ranks or (
        word.endswith(_ENDINGS)
        and any(word.endswith(ending) and word.removesuffix(ending) in ranks for ending in _ENDINGS)
    )


def _one_edit_away(word: str, vocabulary: _Vocabulary) -> Iterator[str]:
    """Yield the words of a vocabulary that are one edit behind the first letter away, most frequent of their kind."""
    # An edit leaves the begin or the end of the word it makes, so most strings of letters are done after a few places.
    first = 1 if word[-_MIN_LETTERS:] in vocabulary.ends else max(1, len(word) - _MIN_LETTERS - 1)
    last = len(word) if word[:_MIN_LETTERS] in vocabulary.begins else _MIN_LETTERS - 1
    cuts = range(first, last + 1)
    edits = [word[:cut] + word[cut + 1 :] for cut in cuts]
    edits += [word[:cut] + word[cut + 1 : cut + 2] + word[cut : cut + 1] + word[cut + 2 :] for cut in cuts]
    yield from filter(vocabulary.ranks.__contains__, edits)
    patterns = [word[:cut] + _BLANK + word[cut:] for cut in cuts]
    patterns += [word[:cut] + _BLANK + word[cut + 1 :] for cut in cuts]
    yield from map(vocabulary.blanked.__getitem__, filter(vocabulary.blanked.__contains__, patterns))


_loading = threading.Lock()


def _vocabulary() -> _Vocabulary:
    """Return the vocabulary, which takes 20 MB; empty where its package is missing."""
    with _loading:
        return _loaded()


@functools.cache
def _loaded() -> _Vocabulary:
    path = checked_path(MINILM_TOKENIZER)
    pieces = {} if path is None else json.loads(path.read_text("utf-8"))["model"]["vocab"]
    words = {piece: rank for piece, rank in pieces.items() if piece.isascii() and piece.isalpha()}
    words = {word: rank for word, rank in words.items() if len(word) >= _MIN_STEM}
    blanked: dict[str, str] = {}
    for word in sorted(words, key=words.__getitem__):
        if _MIN_LETTERS <= len(word) <= _MAX_LETTERS + 1:
            for cut in range(1, len(word)):
                blanked.setdefault(word[:cut] + _BLANK + word[cut + 1 :], word)
    return _Vocabulary(
        ranks=words,
        blanked=blanked,
        begins=frozenset(word[:_MIN_LETTERS] for word in words),
        ends=frozenset(word[-_MIN_LETTERS:] for word in words),
    )
