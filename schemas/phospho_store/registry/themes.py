"""Themes: the models that discovery makes, the themes in them, people's edits, and the progress over past tasks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from phospho_schemas.rows.themes import ThemeEdit, ThemeFact, ThemeModelRow, ThemeRefresh, ThemeRow, ThemeRun
from phospho_schemas.times import utc_now
from phospho_store.repository import Repository

_OF_PROJECT = "WHERE project_id = {project:String}"
MAX_FACTS = 500


class ThemeRepository(Repository):
    """Reads and writes of the themes of projects."""

    def model(self, project_id: str) -> ThemeModelRow | None:
        """Return the current model of a project, or None."""
        return self._first(ThemeModelRow, "theme_model_rows", _OF_PROJECT, project=project_id)

    def themes(self, project_id: str) -> list[ThemeRow]:
        """Return all themes that a project had, those of the current version first, the largest first."""
        rest = f"{_OF_PROJECT} ORDER BY version DESC, texts DESC, theme_id"
        return self._read(ThemeRow, "theme_rows", rest, project=project_id)

    def edits(self, project_id: str) -> dict[str, ThemeEdit]:
        """Return people's edits by theme."""
        edits = self._read(ThemeEdit, "theme_edit_rows", f"{_OF_PROJECT} ORDER BY theme_id", project=project_id)
        return {edit.theme_id: edit for edit in edits}

    def facts(self, project_id: str) -> list[ThemeFact]:
        """Return the changes of themes, the newest first, 500 at most."""
        rest = f"{_OF_PROJECT} ORDER BY version DESC, theme_id, kind LIMIT {MAX_FACTS}"
        return self._read(ThemeFact, "theme_fact_rows", rest, project=project_id)

    def refresh(self, project_id: str) -> ThemeRefresh | None:
        """Return when somebody last wanted the themes found anew, or None."""
        return self._first(ThemeRefresh, "theme_refresh_rows", _OF_PROJECT, project=project_id)

    def refreshes(self) -> dict[str, datetime]:
        """Return by project when somebody last wanted the themes found anew."""
        rows = self._read(ThemeRefresh, "theme_refresh_rows", "ORDER BY project_id")
        return {row.project_id: row.requested_at for row in rows}

    def run(self, project_id: str) -> ThemeRun | None:
        """Return the progress over a project's past tasks, or None."""
        return self._first(ThemeRun, "theme_run_rows", _OF_PROJECT, project=project_id)

    def open_runs(self) -> list[ThemeRun]:
        """Return the progress of every project whose past tasks wait for themes, the longest wait first."""
        return self._read(
            ThemeRun, "theme_run_rows", "WHERE status != 'done' ORDER BY updated_at, project_id LIMIT 200"
        )

    def request_refresh(self, project_id: str, requested_by: str) -> ThemeRefresh:
        """Store that somebody wants the themes found anew."""
        row = ThemeRefresh(project_id=project_id, requested_by=requested_by, requested_at=utc_now())
        return self._save_one("theme_refresh_rows", row, self._greatest_revision("theme_refresh_rows"))

    def save_theme(self, theme: ThemeRow) -> ThemeRow:
        """Store a theme and return it as it is stored."""
        return self._save_one("theme_rows", theme, theme.revision)

    def save_edit(self, edit: ThemeEdit) -> ThemeEdit:
        """Store an edit and return it as it is stored."""
        return self._save_one("theme_edit_rows", edit, edit.revision)

    def save_run(self, run: ThemeRun) -> ThemeRun:
        """Store progress and return it as it is stored."""
        return self._save_one("theme_run_rows", run.model_copy(update={"updated_at": utc_now()}), run.revision)

    def save_discovery(
        self, model: ThemeModelRow, themes: Sequence[ThemeRow], facts: Sequence[ThemeFact], after: int
    ) -> None:
        """
        Store a discovery, the model last: until then, nothing of the new version counts.

        The model's revision is greater than `after`, the greatest of what detection reads.
        """
        self._save("theme_rows", list(themes), self._greatest_revision("theme_rows"))
        self._save("theme_fact_rows", list(facts), self._greatest_revision("theme_fact_rows"))
        self._save_one("theme_model_rows", model, after)
