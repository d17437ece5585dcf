"""The values that filters offer: the newest of each, and those that contain a text."""

from __future__ import annotations

from typing import Any

from phospho_store.sql import compose
from phospho_store.sql.themes import current_themes
from phospho_store.store import Store
from phospho_web.problems import Problem
from phospho_web.requests import choices_hint

MAX_VALUES = 200

# The table and the column of each filter whose values are logged or detected.
_COLUMNS = {
    "versions": ("task_rows", "version_id"),
    "models": ("task_rows", "model"),
    "users": ("task_rows", "user_id"),
    "languages": ("analysis_rows", "language"),
}
_NEWEST = """
SELECT toString($column) AS value FROM $table FINAL
WHERE project_id = {project:String} AND value != '' AND positionCaseInsensitiveUTF8(value, {text:String}) > 0
GROUP BY value ORDER BY max(created_at) DESC, value LIMIT $most
"""
_EVENTS = """
SELECT value FROM
(
    SELECT arrayJoin(events.name) AS value, max(created_at) AS last_at FROM analysis_rows FINAL
    WHERE project_id = {project:String} GROUP BY value
    UNION ALL SELECT name, max(created_at) FROM definitions WHERE project_id = {project:String} GROUP BY name
    UNION ALL SELECT event_name, max(created_at) FROM labels
        WHERE project_id = {project:String} AND label = 'confirmed' GROUP BY event_name
    UNION ALL SELECT arrayJoin(events.name) AS name, max(created_at) FROM session_analysis_rows FINAL
        WHERE project_id = {project:String} GROUP BY name
)
WHERE positionCaseInsensitiveUTF8(value, {text:String}) > 0
GROUP BY value ORDER BY max(last_at) DESC, value LIMIT $most
"""
# Titles, by which themes are chosen: ids say nothing to people.
_THEMES = compose(
    """
SELECT theme_id, title FROM $themes WHERE merged_into = '' AND NOT is_hidden ORDER BY title, theme_id LIMIT $most
""",
    themes=current_themes("project_id = {project:String}"),
    most=str(MAX_VALUES - 1),
)
# The names of the filters in a URL.
FACETS = {"version": "versions", "model": "models", "user": "users", "language": "languages", "event": "events"}


class Facets:
    """Reads the values of filters. Blocking; raises what the store raises."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def choices(self, project_id: str) -> dict[str, list[str]]:
        """Return the newest MAX_VALUES `versions`, `models`, `languages` and `events`, each in alphabetical order."""
        return {name: sorted(self._newest(project_id, name, "")) for name in FACETS.values() if name != "users"}

    def themes(self, project_id: str) -> dict[str, str]:
        """Return the titles of the themes of a project, by id, in alphabetical order; fewer than MAX_VALUES."""
        return {row["theme_id"]: row["title"] for row in self._store.rows(_THEMES, {"project": project_id})}

    def search(self, project_id: str, filter_name: str, text: str) -> list[str]:
        """Return the newest MAX_VALUES values of a filter that contain `text` in any case; Problem 400."""
        if filter_name not in FACETS:
            raise Problem(400, "invalid_filter", f"{filter_name!r} has no values", choices_hint(filter_name, FACETS))
        return self._newest(project_id, FACETS[filter_name], text)

    def _newest(self, project_id: str, name: str, text: str) -> list[str]:
        table, column = _COLUMNS.get(name, ("", ""))
        sql = compose(_NEWEST if table else _EVENTS, table=table, column=column, most=str(MAX_VALUES))
        rows: list[dict[str, Any]] = self._store.rows(sql, {"project": project_id, "text": text})
        return [row["value"] for row in rows]
