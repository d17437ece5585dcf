"""People's edits of themes: rename, hide, pin, merge and split. They win over what discovery finds."""

from __future__ import annotations

from typing import Any

from phospho_schemas.rows.themes import ThemeEdit, ThemeRefresh
from phospho_schemas.times import utc_now
from phospho_store.registry.themes import ThemeRepository
from phospho_store.store import Store
from phospho_web.problems import Problem


class ThemeEdits:
    """Stores edits. Blocking; raises Problem (404 for an unknown theme, 422) and what the store raises."""

    def __init__(self, store: Store) -> None:
        self._repository = ThemeRepository(store)

    def change(self, project_id: str, theme_id: str, author: str, **changes: Any) -> ThemeEdit:
        """Store changes of a theme's `title`, `is_hidden` or `is_pinned`; an empty title is the automatic one again."""
        self._require(project_id, theme_id)
        return self._save(project_id, theme_id, author, **changes)

    def merge(self, project_id: str, theme_id: str, into: str, author: str) -> ThemeEdit:
        """
        Let the tasks of a theme count for another one, as do those of themes merged into it. `into` "" takes it back.

        Problem 422 for a theme into itself.
        """
        self._require(project_id, theme_id)
        edits = self._repository.edits(project_id)
        if into:
            self._require(project_id, into)
            into = edits[into].merged_into or into if into in edits else into
        if into == theme_id:
            raise Problem(422, "invalid_merge", "a theme can't be merged into itself or into a part of it")
        for part in [name for name, edit in edits.items() if into and edit.merged_into == theme_id]:
            self._save(project_id, part, author, merged_into=into)
        return self._save(project_id, theme_id, author, merged_into=into)

    def split(self, project_id: str, theme_id: str, author: str) -> ThemeEdit:
        """Cut a theme in two at the next discovery, which is asked for."""
        self._require(project_id, theme_id)
        edit = self._save(project_id, theme_id, author, split_at=utc_now())
        self.refresh(project_id, author)
        return edit

    def refresh(self, project_id: str, author: str) -> ThemeRefresh:
        """Ask for a new discovery."""
        return self._repository.request_refresh(project_id, author)

    def _require(self, project_id: str, theme_id: str) -> None:
        if theme_id not in {theme.theme_id for theme in self._repository.themes(project_id)}:
            raise Problem(404, "unknown_theme", f"there is no theme {theme_id!r} in this project")

    def _save(self, project_id: str, theme_id: str, author: str, **changes: Any) -> ThemeEdit:
        now = utc_now()
        stored = self._repository.edits(project_id).get(theme_id)
        edit = stored or ThemeEdit(project_id=project_id, theme_id=theme_id, edited_at=now)
        return self._repository.save_edit(edit.model_copy(update={**changes, "edited_by": author, "edited_at": now}))
