"""
Mistyped English words: what somebody probably meant.

A static embedding knows a word by its pieces, and a mistyped one has the pieces of other words. So a word in lower case
that is not in a vocabulary is read as the most frequent word of it that is one edit away: a letter left out, added,
replaced, or two swapped. The first letter stays: people rarely mistype it, and more names stay as they are.
"""

from __future__ import annotations

import functools
import json
import re
import string
import threading
from collections.abc import Iterator, Mapping

from phospho_workers.detection.text.packages import MINILM_TOKENIZER, checked_path

# Shorter words are one edit away from too many others; longer ones are hardly words.
_MIN_LETTERS = 4
_MAX_LETTERS = 20
_WORD = re.compile(r"(\W*)([a-z]+)((?:'[a-z]+)?\W*)", re.ASCII)
_LETTERS = re.compile(r"[^\W\d_]{3,}")
# Of a word whose rest is known, such as "relabelled" of "relabel".
_ENDINGS = ("s", "es", "ies", "d", "ed", "ing", "er", "ers", "ly", "y", "ness", "able")
_MIN_STEM = 3


def corrected(word: str) -> str:
    """Return a word, with the marks around it, as it was probably meant; most words are returned as they are."""
    match = _WORD.fullmatch(word)
    if match is None or not _MIN_LETTERS <= len(match[2]) <= _MAX_LETTERS:
        return word
    ranks = _vocabulary()
    if not ranks or _is_word(match[2], ranks):
        return word
    meant = min((edit for edit in _edits(match[2]) if edit in ranks), key=ranks.__getitem__, default=match[2])
    return f"{match[1]}{meant}{match[3]}"


def word_share(text: str) -> float:
    """Return the share of a text's words that are English words or capitalized; 1 where that can't be told."""
    ranks = _vocabulary()
    words = _LETTERS.findall(text)
    if not ranks or not words:
        return 1.0
    return sum(not word.islower() or _is_word(word, ranks) for word in words) / len(words)


def _is_word(word: str, ranks: Mapping[str, int]) -> bool:
    """Return True for words of the vocabulary and their usual forms."""
    return word in ranks or any(word.endswith(ending) and word.removesuffix(ending) in ranks for ending in _ENDINGS)


def _edits(word: str) -> Iterator[str]:
    """Yield the words that are one edit behind the first letter away; some repeat."""
    for cut in range(1, len(word) + 1):
        begin, end = word[:cut], word[cut:]
        yield begin + end[1:]
        yield begin + end[1:2] + end[:1] + end[2:]
        for letter in string.ascii_lowercase:
            yield begin + letter + end
            yield begin + letter + end[1:]


_loading = threading.Lock()


def _vocabulary() -> Mapping[str, int]:
    """Return the rank of each word of the vocabulary, the most frequent first; empty where its package is missing."""
    with _loading:
        return _loaded()


@functools.cache
def _loaded() -> Mapping[str, int]:
    path = checked_path(MINILM_TOKENIZER)
    if path is None:
        return {}
    ranks = json.loads(path.read_text("utf-8"))["model"]["vocab"]
    return {word: rank for word, rank in ranks.items() if word.isascii() and word.isalpha() and len(word) >= _MIN_STEM}
