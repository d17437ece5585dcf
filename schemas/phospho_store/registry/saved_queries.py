"""Reads and writes of saved queries."""

from __future__ import annotations

from phospho_schemas.ids import derived_id
from phospho_schemas.rows.saved_queries import SavedQuery
from phospho_store.repository import Repository


def query_id(project_id: str, name: str) -> str:
    """Return the identity of a saved query: one of the same name replaces it."""
    return derived_id("saved query", project_id, name)[:16]


class SavedQueryRepository(Repository):
    """Saved queries. The last write wins."""

    def save(self, query: SavedQuery) -> SavedQuery:
        """Store a query and return it as it is stored."""
        return self._save_one("saved_query_rows", query, self._greatest_revision("saved_query_rows"))

    def queries(self, project_id: str) -> list[SavedQuery]:
        """Return the queries of a project in the order of their names."""
        rest = "WHERE project_id = {project:String} AND NOT is_deleted ORDER BY name, query_id"
        return self._read(SavedQuery, "saved_query_rows", rest, project=project_id)
