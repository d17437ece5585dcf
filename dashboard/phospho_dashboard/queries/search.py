"""
Text search: whether a text contains a phrase, in any case, form and spelling, as the keyword engine compares texts.

Unlike a keyword, a phrase may begin or end within a word.
"""

from __future__ import annotations

import re

from phospho_schemas.normalisation import searchable
from phospho_store.sql.searchable import searchable_sql

_ASCII_WORD = re.compile("[0-9a-z]+")


def contains(column: str) -> str:
    """
    Return the condition that a column of texts contains the phrase `q`.

    Folding costs much more than a comparison: an ASCII text is folded only where it has the word `q_word`.
    """
    may_contain = (
        f"(length({column}) != lengthUTF8({column}) OR positionCaseInsensitive({column}, {{q_word:String}}) > 0)"
    )
    return f"({may_contain} AND position({searchable_sql(column)}, {searchable_sql('{q:String}')}) > 0)"


def longest_word(phrase: str) -> str:
    """Return the longest run of ASCII letters and digits that a text in ASCII needs to contain `phrase`."""
    return max(_ASCII_WORD.findall(searchable(phrase)), key=len, default="")
