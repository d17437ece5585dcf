"""Delete rows by ids, and record the deletions for the ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from phospho_store.ledger.deletions import record_deletions
from phospho_store.sql import compose
from phospho_store.store import Store

# The ids of a statement stand in its URL, also as JSON escapes them, where a byte of theirs may take 18. ClickHouse
# reads a URL up to 1 MB.
_MAX_CHARACTERS = 40_000

_COUNT = "SELECT count() AS rows FROM $table WHERE project_id = {project:String} AND $condition"
_DELETE = "DELETE FROM $table WHERE project_id = {project:String} AND $condition"
_HAS_ID = "$column IN {ids:Array(String)}"
_UP_TO = " AND revision <= {revision:UInt64}"

TABLES_OF_TRACES = {"step_rows": "trace_id"}
TABLES_OF_DEAD_LETTERS = {"dead_letter_rows": "dead_letter_id"}


def pages(identifiers: Iterable[str]) -> Iterator[Sequence[str]]:
    """Yield the ids in lists that fit a statement."""
    page: list[str] = []
    characters = 0
    for identifier in identifiers:
        characters += len(identifier.encode()) + 3
        if page and characters > _MAX_CHARACTERS:
            yield page
            page, characters = [], len(identifier.encode()) + 3
        page.append(identifier)
    if page:
        yield page


def delete_rows(
    store: Store, columns: Mapping[str, str], project_id: str, identifiers: Iterable[str], *, up_to: int | None = None
) -> Counter[str]:
    """
    Delete the rows with one of the ids, and return their number by table. `columns` maps a table to its column of ids.

    With `up_to`, rows of a later revision stay.
    """
    deleted: Counter[str] = Counter()
    for ids in pages(identifiers):
        counts = count_rows(store, columns, project_id, ids, up_to=up_to)
        # A delete looks into every part, also where it finds nothing.
        for table in [table for table in columns if counts[table]]:
            condition, parameters = _condition(columns[table], project_id, ids, up_to)
            record_deletions(store, table, condition, parameters, reason="forgotten")
            store.command(compose(_DELETE, table=table, condition=condition), parameters)
        deleted += counts
    return deleted


def count_rows(
    store: Store, columns: Mapping[str, str], project_id: str, ids: Sequence[str], *, up_to: int | None = None
) -> Counter[str]:
    """Return the number of rows with one of the ids, by table."""
    counts: Counter[str] = Counter()
    for table, column in columns.items():
        condition, parameters = _condition(column, project_id, ids, up_to)
        counts[table] = int(store.rows(compose(_COUNT, table=table, condition=condition), parameters)[0]["rows"])
    return counts


def _condition(column: str, project_id: str, ids: Sequence[str], up_to: int | None) -> tuple[str, dict[str, Any]]:
    parameters: dict[str, Any] = {"project": project_id, "ids": list(ids)}
    if up_to is None:
        return compose(_HAS_ID, column=column), parameters
    return compose(_HAS_ID + _UP_TO, column=column), {**parameters, "revision": up_to}
