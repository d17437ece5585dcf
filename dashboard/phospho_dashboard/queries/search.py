"""
Text search: whether a text contains a phrase, in any case, form and spelling, as the keyword engine compares texts.

Unlike a keyword, a phrase may begin or end within a word.
"""

from __future__ import annotations

import re

from phospho_schemas.text.normalisation import searchable
from phospho_store.sql import compose
from phospho_store.sql.searchable import searchable_sql

_ASCII_WORD = re.compile("[0-9a-z]+")

_ASCII_TEXT = r"replaceRegexpAll(replaceAll(lower($column), '`', '\''), '[\\t-\\r\\x1c-\\x1f ]+', ' ')"
_CONTAINS = """if(
    length($column) = lengthUTF8($column),
    positionCaseInsensitive($column, {q_word:String}) > 0
        AND ($phrase = {q_word:String} OR position($ascii_text, $phrase) > 0),
    position($searchable, $phrase) > 0
)"""


def contains(column: str) -> str:
    """
    Return the condition that a column of texts contains the phrase `q`.

    Folding costs much more than a comparison. A text in ASCII is searched for the word `q_word` of the phrase first,
    and then needs only one case, one apostrophe and single spaces.
    """
    return compose(
        _CONTAINS,
        column=column,
        phrase=searchable_sql("{q:String}"),
        ascii_text=compose(_ASCII_TEXT, column=column),
        searchable=searchable_sql(column),
    )


def longest_word(phrase: str) -> str:
    """Return the longest run of ASCII letters and digits that a text in ASCII needs to contain `phrase`."""
    return max(_ASCII_WORD.findall(searchable(phrase)), key=len, default="")
