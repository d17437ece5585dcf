"""The base of the repositories: rows are read as messages, and stored with revisions of one clock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from phospho_schemas.ids import HybridClock
from phospho_schemas.messages import Message
from phospho_store.store import Store, json_lines, parsed_rows

_Row = TypeVar("_Row", bound=Message)


class Repository:
    """
    Reads and writes of some tables. Blocking; raises what the store raises.

    A row replaces the one of a smaller revision, and other processes write with clocks of their own: so the clock
    goes on from what is replaced.
    """

    def __init__(self, store: Store, clock: HybridClock | None = None) -> None:
        self._store = store
        self._clock = clock or HybridClock()

    def _read(self, model: type[_Row], table: str, rest: str, **parameters: Any) -> list[_Row]:
        """Return the last row of each key, as `rest` of the statement selects and orders them."""
        rows = self._store.rows(f"SELECT * EXCEPT schema_version FROM {table} FINAL {rest}", parameters)
        return parsed_rows(model, rows)

    def _first(self, model: type[_Row], table: str, rest: str, **parameters: Any) -> _Row | None:
        """Return the first row that `_read` would return, or None."""
        return next(iter(self._read(model, table, rest, **parameters)), None)

    def _greatest_revision(self, table: str) -> int:
        """Return a number that rises whenever a row of the table changes: a cheap question to ask often."""
        return int(self._store.rows(f"SELECT max(revision) AS revision FROM {table}")[0]["revision"])

    def _save(self, table: str, rows: Sequence[_Row], after: int = 0) -> list[_Row]:
        """Store rows, all or none, and return them as they are stored: with revisions greater than `after`."""
        if not rows:
            return []
        self._clock.observe(after)
        saved = [row.model_copy(update={"revision": self._clock.next()}) for row in rows]
        self._store.insert(table, json_lines(saved))
        return saved

    def _save_one(self, table: str, row: _Row, after: int = 0) -> _Row:
        [saved] = self._save(table, [row], after)
        return saved
