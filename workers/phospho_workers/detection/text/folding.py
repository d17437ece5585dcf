"""Folding of text for keywords: its searchable form, cut into words."""

from __future__ import annotations

import functools
import re
import sys
import unicodedata
from itertools import groupby

from phospho_schemas.text.normalisation import searchable

# Scripts that put no space between words (blocks of Unicode 16): Thai and Lao, Myanmar, Khmer, kana, and CJK
# ideographs with their extensions. Each character counts as a word, so that one may begin or end anywhere.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U000323af"
_ASCII_WORD = re.compile(r"\w+|[^\w\s]", re.ASCII)
_HANGUL_END = re.compile("([\uac00-\ud7a3]+) $")
# Particles that Korean writes onto a word; after a longer word any ending is taken, verbs among them.
_PARTICLES = re.findall(
    r"\w+",
    "을 를 이 가 은 는 에 에서 에게 로 으로 와 과 도 만 의 까지 부터 보다 처럼 하고 이나 나 요 이요 이에요 예요 입니다 "
    "인데 이라 라",
)


def folded(text: str) -> str:
    """
    Return the folded words of `text`, with one space between, before and after them.

    Punctuation such as "+" is a word by itself; white space is none. A text has a keyword where the folded text
    contains one of the keyword's `folded_keyword`.
    """
    if text.isascii():
        return f" {' '.join(_ASCII_WORD.findall(text.lower().replace('`', chr(39))))} "
    return f" {' '.join(_word().findall(searchable(text)))} "


def folded_keyword(keyword: str) -> list[str]:
    """Return the forms of a keyword in folded texts: one, or in Korean those with what may be written onto it."""
    words = folded(keyword)
    last_word = _HANGUL_END.search(words)
    if last_word is None:
        return [words]
    if len(last_word[1]) > 1:
        return [words[:-1]]
    return [words, *(f"{words[:-1]}{particle} " for particle in _PARTICLES)]


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
