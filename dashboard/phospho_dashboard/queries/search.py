"""
Text search: whether a text contains a phrase, in any case and Unicode form, as the keyword engine compares texts.

Both sides are folded: compatibility forms (NFKC), case, white space, typographic quotes and invisible characters.
Unlike a keyword, a phrase may begin or end within a word.
"""

from __future__ import annotations

import re
import unicodedata

_ASCII_WORD = re.compile("[0-9a-z]+")
# Soft hyphen, zero-width space, non-joiner and joiner, word joiner, byte order mark.
_INVISIBLE = "[\u00ad\u200b-\u200d\u2060\ufeff]"
_QUOTES = {"\u2018": "'", "\u2019": "'", "\u02bc": "'", "\u201c": '"', "\u201d": '"'}
# Lower case is nearly a case folding; these are the rest. A dot above is left over from a Turkish capital I.
_FOLDED = _QUOTES | {"\u00df": "ss", "\u03c2": "\u03c3", "\u0307": ""}


def _folded_sql(text: str) -> str:
    """Return the SQL of a folded text."""
    folded = f"lowerUTF8(normalizeUTF8NFKC(replaceRegexpAll({text}, '{_INVISIBLE}', '')))"
    for character, plain in _FOLDED.items():
        folded = f"replaceAll({folded}, '{character}', '{_escaped(plain)}')"
    return f"replaceRegexpAll({folded}, '\\\\s+', ' ')"


def _escaped(text: str) -> str:
    return text.replace("'", "\\'")


def contains(column: str) -> str:
    """
    Return the condition that a column of texts contains the phrase `q`.

    Folding costs much more than a comparison: an ASCII text is folded only where it has the word `q_word`.
    """
    may_contain = (
        f"(length({column}) != lengthUTF8({column}) OR positionCaseInsensitive({column}, {{q_word:String}}) > 0)"
    )
    return f"({may_contain} AND position({_folded_sql(column)}, {_folded_sql('{q:String}')}) > 0)"


def longest_word(phrase: str) -> str:
    """Return the longest run of ASCII letters and digits that a text in ASCII needs to contain `phrase`."""
    folded = unicodedata.normalize("NFKC", phrase).casefold()
    return max(_ASCII_WORD.findall(folded), key=len, default="")
