"""
Normalisation of text: one rule for what counts as the same text, however it was typed.

`plain` keeps a text readable: it only undoes what keyboards do to quotes, hyphens and invisible characters.
`searchable` decides whether two texts are equal to the keyword engine and to search; `sql/searchable.py` of
phospho_store is the same function in ClickHouse.
"""

from __future__ import annotations

import re
import string
import unicodedata

_APOSTROPHES = "\u2018\u2019\u201b\u02b9\u02bb\u02bc\u2032\uff07"
# Marks that stand for an apostrophe only inside a word: a backtick also quotes code.
_APOSTROPHES_IN_WORDS = "`\u00b4"
_QUOTES = "\u201c\u201d\u201e\u201f\uff02"
# Hyphens, the en dash that phones make of one, and the minus; an em dash separates clauses.
_HYPHENS = "\u2010\u2011\u2012\u2013\u2212\ufe63\uff0d"
# Soft hyphen, joiners, marks of direction, zero-width spaces, variation selectors, BOM, and the Arabic tatweel.
_INVISIBLE = "\u00ad\u034f\u061c\u0640\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufe00-\ufe0f\ufeff"
# Vowel points of Arabic and Hebrew, which most people leave out, and the dot that casefolding makes of İ.
_OPTIONAL_MARKS = (
    "\u064b-\u0652\u0656-\u065f\u0670\u06d6-\u06dc\u06df-\u06e8\u06ea-\u06ed"
    "\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7"
)
# Letters that keyboards or habit replace by another: Turkish ı, Russian ё, the alefs, and Persian yeh and kaf.
SAME_LETTERS = ("ıё\u0622\u0623\u0625\u0671\u06cc\u06a9", "iе\u0627\u0627\u0627\u0627\u064a\u0643")
# Spaces that NFKC leaves as they are.
_SPACES = "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f\x85\u1680\u2028\u2029"

# For `translate` of Python and `translateUTF8` of ClickHouse: a character, and what stands for it.
TYPED_CHARACTERS = (
    _APOSTROPHES + _APOSTROPHES_IN_WORDS + _QUOTES + _HYPHENS + _SPACES,
    "'" * len(_APOSTROPHES + _APOSTROPHES_IN_WORDS) + '"' * len(_QUOTES) + "-" * len(_HYPHENS) + " " * len(_SPACES),
)
# In the syntax that Python and RE2 share; what it matches after NFKC and casefolding is left out.
UNREAD_MARKS = f"[{_INVISIBLE}{_OPTIONAL_MARKS}]"

# Letters and digits as wide as Han characters; wide punctuation belongs to Chinese and Japanese.
_WIDE = {chr(ord(letter) + 0xFEE0): letter for letter in string.ascii_letters + string.digits}
_TO_PLAIN = str.maketrans(
    _WIDE | dict.fromkeys(_APOSTROPHES, "'") | dict.fromkeys(_QUOTES, '"') | dict.fromkeys(_HYPHENS, "-")
)
_TO_TYPED = str.maketrans(*TYPED_CHARACTERS)
_TO_SAME_LETTERS = str.maketrans(*SAME_LETTERS)
_UNREAD = re.compile(UNREAD_MARKS)
_INVISIBLE_CHARACTERS = re.compile(f"[{_INVISIBLE}\U000e0100-\U000e01ef]")
_IN_WORDS = re.compile(rf"(?<=[^\W\d_])[{_APOSTROPHES_IN_WORDS}](?=[^\W\d_])")
_VARIATION_SELECTORS = re.compile("[\U000e0100-\U000e01ef]")


def plain(text: str) -> str:
    """Return `text` with plain apostrophes, hyphens and letters, without invisible characters; case and layout stay."""
    if text.isascii():
        return _IN_WORDS.sub("'", text) if "`" in text else text
    return _IN_WORDS.sub("'", _INVISIBLE_CHARACTERS.sub("", text.translate(_TO_PLAIN)))


def searchable(text: str) -> str:
    """
    Return the form of `text` that decides what is equal: one text contains another where this form does.

    Case, width and composition go by NFKC around a full casefolding (Unicode 16, section 3.13, D146). Apostrophes,
    hyphens, spaces and some letters have one form; invisible characters and optional vowel points have none.
    """
    if text.isascii():
        return " ".join(text.lower().replace("`", "'").split())
    typed = _VARIATION_SELECTORS.sub("", text.translate(_TO_TYPED))
    composed = unicodedata.normalize("NFKC", typed).casefold()
    folded = unicodedata.normalize("NFKC", composed).replace("i\u0307", "i").translate(_TO_SAME_LETTERS)
    return " ".join(_UNREAD.sub("", folded).split())
