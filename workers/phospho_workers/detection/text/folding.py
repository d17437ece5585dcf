"""Folding of text for keywords: case, Unicode forms, invisible characters and word boundaries."""

from __future__ import annotations

import functools
import re
import sys
import unicodedata
from itertools import groupby

# Invisible format characters: soft hyphen, zero-width space, non-joiner, joiner, word joiner, BOM.
_INVISIBLE = dict.fromkeys((0x00AD, 0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF))
# Phones and word processors type these for ' and ".
_QUOTES = {0x2018: "'", 0x2019: "'", 0x02BC: "'", 0x201C: '"', 0x201D: '"'}
_PLAIN = {**_INVISIBLE, **_QUOTES}
# Left over from the case folding of a Turkish capital I.
_DOT_ABOVE = "\u0307"
# Scripts that put no space between words (blocks of Unicode 16): Thai and Lao, Myanmar, Khmer, kana, and CJK
# ideographs with their extensions. Each character counts as a word, so that one may begin or end anywhere.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U000323af"
_ASCII_WORD = re.compile(r"\w+|[^\w\s]", re.ASCII)


def folded(text: str) -> str:
    """
    Return the folded words of `text`, with one space between, before and after them.

    Punctuation such as "+" is a word by itself; white space is none. A text has a keyword where the folded text
    contains the folded keyword. Case and form are folded by NFKC around a full case folding
    (Unicode 16, section 3.13, D146): "STRASSE" and "straße" are equal, and so are full-width and plain letters, and
    typographic and plain quotes. The search of the pages folds alike (`phospho_dashboard.queries.search`).
    """
    if text.isascii():
        return f" {' '.join(_ASCII_WORD.findall(text.lower()))} "
    composed = unicodedata.normalize("NFKC", text.translate(_PLAIN))
    plain = unicodedata.normalize("NFKC", composed.casefold()).replace(_DOT_ABOVE, "")
    return f" {' '.join(_word().findall(plain))} "


@functools.cache
def _word() -> re.Pattern[str]:
    """Return the pattern of a word in any script: letters, digits and their marks. Takes some 100 ms, once."""
    marks = _character_class("M")
    return re.compile(rf"[{_UNSPACED}][{marks}]*|(?:[^\W{_UNSPACED}]+[{marks}]*)+|[^\w\s]")


def _character_class(category: str) -> str:
    """Return the ranges of the characters whose general category begins with `category`, for a class of `re`."""
    points = (p for p in range(sys.maxunicode + 1) if unicodedata.category(chr(p)).startswith(category))
    # Code points in a row have the same distance to their index in the list.
    runs = (list(run) for _, run in groupby(enumerate(points), lambda numbered: numbered[1] - numbered[0]))
    return "".join(f"{chr(run[0][1])}-{chr(run[-1][1])}" for run in runs)
