"""Reads and writes of the queries and views that people save."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, TypeVar

from phospho_schemas.ids import HybridClock, derived_id
from phospho_schemas.messages import Message
from phospho_schemas.rows.saved import SavedQuery, SavedView
from phospho_store.repository import Repository
from phospho_store.store import Store

Saved = TypeVar("Saved", SavedQuery, SavedView)

# The table of each, and its column with the id.
_TABLES: Mapping[type[Message], tuple[str, str]] = {
    SavedQuery: ("saved_query_rows", "query_id"),
    SavedView: ("saved_view_rows", "view_id"),
}


def query_id(project_id: str, name: str) -> str:
    """Return the identity of a saved query: one of the same name replaces it."""
    return derived_id("saved query", project_id, name)[:16]


def view_id(project_id: str, page: str, name: str) -> str:
    """Return the identity of a saved view: one of the same page and name replaces it."""
    return derived_id("saved view", project_id, page, name)[:16]


class SavedRepository(Repository, Generic[Saved]):
    """The saved queries, or the saved views. The last write wins."""

    def __init__(self, model: type[Saved], store: Store, clock: HybridClock | None = None) -> None:
        super().__init__(store, clock)
        self._model: type[Saved] = model
        self._table, self._id_column = _TABLES[model]

    def save(self, row: Saved) -> Saved:
        """Store a row and return it as it is stored."""
        return self._save_one(self._table, row, self._greatest_revision(self._table))

    def rows(self, project_id: str) -> list[Saved]:
        """Return the rows of a project in the order of their names."""
        rest = "WHERE project_id = {project:String} AND NOT is_deleted ORDER BY name, " + self._id_column
        return self._read(self._model, self._table, rest, project=project_id)
