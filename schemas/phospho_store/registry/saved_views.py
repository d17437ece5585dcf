"""Reads and writes of saved views."""

from __future__ import annotations

from phospho_schemas.ids import derived_id
from phospho_schemas.rows.saved_views import SavedView
from phospho_store.repository import Repository


def view_id(project_id: str, page: str, name: str) -> str:
    """Return the identity of a saved view: one of the same page and name replaces it."""
    return derived_id("saved view", project_id, page, name)[:16]


class SavedViewRepository(Repository):
    """Saved views. The last write wins."""

    def save(self, view: SavedView) -> SavedView:
        """Store a view and return it as it is stored."""
        return self._save_one("saved_view_rows", view, self._greatest_revision("saved_view_rows"))

    def views(self, project_id: str) -> list[SavedView]:
        """Return the views of a project in the order of their names."""
        rest = "WHERE project_id = {project:String} AND NOT is_deleted ORDER BY name, view_id"
        return self._read(SavedView, "saved_view_rows", rest, project=project_id)
