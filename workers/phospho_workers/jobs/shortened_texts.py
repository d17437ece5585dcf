"""SQL that reads the beginning and the end of long texts."""

from __future__ import annotations

from collections.abc import Iterable

from phospho_store.sql import compose

# Marks the cut in a text for a reader that should know of it.
CUT_MARK = "\n[…]\n"

_SHORTENED = """if(
    lengthUTF8(t.$column) > 2 * $kept,
    concat(leftUTF8(t.$column, $kept), '$between', rightUTF8(t.$column, $kept)),
    t.$column
) AS $column"""


def shortened(columns: Iterable[str], kept_characters: int, between: str = "\n") -> str:
    """
    Return the columns of a SELECT from the table `t`, each under its own name.

    Of a text of more than twice `kept_characters`, that many from either end are read, joined by `between`, which is
    CUT_MARK or the end of a line.
    """
    return ", ".join(
        compose(_SHORTENED, column=column, kept=str(kept_characters), between=between) for column in columns
    )
