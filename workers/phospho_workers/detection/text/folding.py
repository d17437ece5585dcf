"""When two words are the same word: case, Unicode forms, invisible characters, and where words begin and end."""

from __future__ import annotations

import functools
import re
import sys
import unicodedata
from itertools import groupby

# Format characters that show nothing: soft hyphen, zero-width space, non-joiner, joiner, word joiner, BOM.
_INVISIBLE = dict.fromkeys((0x00AD, 0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF))
# Scripts that put no space between words (blocks of Unicode 16): Thai and Lao, Myanmar, Khmer, kana, and CJK
# ideographs with their extensions. Each character counts as a word, so that one may begin or end anywhere.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U000323af"
_ASCII_WORD = re.compile(r"\w+|[^\w\s]", re.ASCII)


def folded(text: str) -> str:
    """
    Return the words of `text` as keywords are compared: folded, with one space between, before and after them.

    A character that is not of a word, such as "+", is a word by itself; white space is none. So a text has a
    keyword where the folded text has the folded keyword. Case and form are folded by NFKC around a full case folding
    (Unicode 16, section 3.13, D146): "STRASSE" and "straße" are equal, and so are full-width and plain letters.
    """
    if text.isascii():
        return f" {' '.join(_ASCII_WORD.findall(text.lower()))} "
    composed = unicodedata.normalize("NFKC", text.translate(_INVISIBLE))
    return f" {' '.join(_word().findall(unicodedata.normalize('NFKC', composed.casefold())))} "


@functools.cache
def _word() -> re.Pattern[str]:
    """Return what one word is in any script: letters, digits and the marks on them. Takes some 100 ms, once."""
    marks = _character_class("M")
    return re.compile(rf"[{_UNSPACED}][{marks}]*|(?:[^\W{_UNSPACED}]+[{marks}]*)+|[^\w\s]")


def _character_class(category: str) -> str:
    """Return the ranges of the characters whose general category begins with `category`, for a class of `re`."""
    points = (p for p in range(sys.maxunicode + 1) if unicodedata.category(chr(p)).startswith(category))
    # Neighbours have the same distance to their place in the list.
    runs = (list(run) for _, run in groupby(enumerate(points), lambda place: place[1] - place[0]))
    return "".join(f"{chr(run[0][1])}-{chr(run[-1][1])}" for run in runs)
