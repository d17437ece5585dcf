"""The choices of the filters: the versions, models, languages and events of a project."""

from __future__ import annotations

from typing import Any

from phospho_store.sql import compose
from phospho_store.store import Store

MAX_CHOICES = 200

_OF_TASKS = """
SELECT arraySort(groupUniqArrayIf($most)(toString(version_id), version_id != '')) AS versions,
    arraySort(groupUniqArrayIf($most)(toString(model), model != '')) AS models
FROM task_rows FINAL WHERE project_id = {project:String}
"""
_OF_ANALYSES = """
SELECT arraySort(groupUniqArrayIf($most)(toString(language), language != '')) AS languages,
    groupUniqArrayArray($most)(CAST(events.name, 'Array(String)')) AS events
FROM analysis_rows FINAL WHERE project_id = {project:String}
"""
_NAMED = """
SELECT DISTINCT name FROM
(
    SELECT name FROM definitions WHERE project_id = {project:String}
    UNION ALL SELECT event_name FROM labels WHERE project_id = {project:String} AND label = 'confirmed'
    UNION ALL SELECT arrayJoin(events.name) FROM session_analysis_rows FINAL WHERE project_id = {project:String}
)
ORDER BY name LIMIT $most
"""


class Facets:
    """Reads the choices of filters."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def choices(self, project_id: str) -> dict[str, list[str]]:
        """Return `versions`, `models`, `languages` and `events`, each in order and at most MAX_CHOICES long."""
        [of_tasks] = self._rows(_OF_TASKS, project_id)
        [of_analyses] = self._rows(_OF_ANALYSES, project_id)
        named = {row["name"] for row in self._rows(_NAMED, project_id)}
        events = sorted(named.union(of_analyses["events"]))[:MAX_CHOICES]
        return {**of_tasks, "languages": of_analyses["languages"], "events": events}

    def _rows(self, sql: str, project_id: str) -> list[dict[str, Any]]:
        return self._store.rows(compose(sql, most=str(MAX_CHOICES)), {"project": project_id})
