"""What jobs read of a text that is long: its beginning and its end."""

from __future__ import annotations

from collections.abc import Iterable

# Where a text was cut, for a reader that is to know.
MARK = "\n[…]\n"


def with_ends(columns: Iterable[str], kept_characters: int, between: str = "\n") -> str:
    """
    Return SQL that selects columns of the table `t`, each under its own name.

    Of a text of more than twice `kept_characters` it is so many from either end, joined by `between`, which is `MARK`
    or the end of a line; of any other all.
    """
    return ", ".join(f"{_ends(f't.{column}', kept_characters, between)} AS {column}" for column in columns)


def _ends(text: str, kept: int, between: str) -> str:
    ends = f"concat(leftUTF8({text}, {kept}), '{between}', rightUTF8({text}, {kept}))"
    return f"if(lengthUTF8({text}) > {2 * kept}, {ends}, {text})"
