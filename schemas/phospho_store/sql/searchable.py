"""The form of a text that search compares, as a ClickHouse expression: `normalisation.searchable` in SQL."""

from __future__ import annotations

from phospho_schemas.text.normalisation import SAME_LETTERS, TYPED_CHARACTERS, UNREAD_MARKS


def searchable_sql(text: str) -> str:
    """Return the expression of the searchable form of `text`, an expression of a String."""
    typed = f"translateUTF8({text}, {_quoted(TYPED_CHARACTERS[0])}, {_quoted(TYPED_CHARACTERS[1])})"
    folded = f"replaceAll(normalizeUTF8NFKCCasefold({typed}), 'i\u0307', 'i')"
    letters = f"translateUTF8({folded}, {_quoted(SAME_LETTERS[0])}, {_quoted(SAME_LETTERS[1])})"
    read = f"replaceRegexpAll({letters}, {_quoted(UNREAD_MARKS)}, '')"
    return f"trimBoth(replaceRegexpAll({read}, ' +', ' '))"


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
