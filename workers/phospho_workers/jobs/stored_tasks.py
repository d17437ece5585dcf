"""Tasks as several jobs read them: counted by project, and with long texts shortened."""

from __future__ import annotations

from collections.abc import Iterable

from phospho_store.sql import compose
from phospho_store.store import Store

_COUNTS = "SELECT toString(project_id) AS project_id, count() AS tasks FROM task_rows GROUP BY project_id"

# Marks the cut in a text for a reader that should know of it.
CUT_MARK = "\n[…]\n"

_SHORTENED = """if(
    lengthUTF8(t.$column) > 2 * $kept,
    concat(leftUTF8(t.$column, $kept), '$between', rightUTF8(t.$column, $kept)),
    t.$column
) AS $column"""


def task_counts(store: Store) -> list[tuple[str, int]]:
    """Return the projects that have tasks, each with their number; a task that was logged again may count twice."""
    return [(row["project_id"], int(row["tasks"])) for row in store.rows(_COUNTS)]


def shortened(columns: Iterable[str], kept_characters: int, between: str = "\n") -> str:
    """
    Return the columns of a SELECT from the table `t`, each under its own name.

    Of a text of more than twice `kept_characters`, that many from either end are read, joined by `between`, which is
    CUT_MARK or the end of a line.
    """
    return ", ".join(
        compose(_SHORTENED, column=column, kept=str(kept_characters), between=between) for column in columns
    )
