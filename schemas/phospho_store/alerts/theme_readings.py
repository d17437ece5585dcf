"""Readings of the themes that are new, and of those that grew: one of each such theme."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from phospho_schemas.rows.alerts import Alert
from phospho_store.alerts.readings import Reading
from phospho_store.confidence import ALPHA, difference, rate_interval
from phospho_store.sql import compose
from phospho_store.sql.metric_rows import ProjectSpan
from phospho_store.sql.themes import current_themes, theme_of
from phospho_store.store import Store

_THEMES = compose(
    """
    SELECT theme_id, title, created_at FROM $themes
    WHERE side = 'input' AND NOT is_hidden AND merged_into = '' ORDER BY theme_id
    """,
    themes=current_themes("project_id = {project:String}"),
)
# The unit of a change is the session, as tasks of one depend on each other. The key "" has all sessions.
_SESSIONS = """
SELECT if(grouping(theme_id) = 1, '', theme_id) AS counted_theme, uniqExact(cityHash64(session_id)) AS sessions
FROM (SELECT $theme AS theme_id, session_id FROM analysis_rows FINAL WHERE $analyses)
GROUP BY GROUPING SETS ((theme_id), ())
HAVING counted_theme != '' OR grouping(theme_id) = 1
"""


class ThemeReadings:
    """Reads which themes of a project are new or grew. Blocking; raises what the store raises."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def readings(self, alert: Alert, at: datetime) -> list[Reading]:
        """
        Return a reading of each theme that is new, or that grew, in the window that ends at a time.

        A theme is new where discovery found it within the window and since the alert was added, and not with the
        project's first themes. It grew where its share of sessions is above that of the window before, by intervals
        that hold at every look.
        """
        themes = self._themes(alert.project_id)
        return (
            self._new_themes(alert, at, themes)
            if alert.metric == "new_theme"
            else self._grown_themes(alert, at, themes)
        )

    def titles(self, project_id: str) -> dict[str, str]:
        """Return the titles of a project's themes, by id."""
        return {theme_id: row["title"] for theme_id, row in self._themes(project_id).items()}

    def _themes(self, project_id: str) -> dict[str, dict[str, Any]]:
        return {row["theme_id"]: row for row in self._store.rows(_THEMES, {"project": project_id})}

    def _new_themes(self, alert: Alert, at: datetime, themes: Mapping[str, Mapping[str, Any]]) -> list[Reading]:
        created = {name: datetime.fromisoformat(row["created_at"]).replace(tzinfo=UTC) for name, row in themes.items()}
        first_at = min(created.values(), default=at)
        since = max(alert.created_at, at - timedelta(milliseconds=alert.window_ms), first_at)
        return [Reading(at, 1.0, 1, theme=name) for name, created_at in created.items() if since < created_at <= at]

    def _grown_themes(self, alert: Alert, at: datetime, themes: Mapping[str, Mapping[str, Any]]) -> list[Reading]:
        window = timedelta(milliseconds=alert.window_ms)
        now, before = self._sessions(alert, at), self._sessions(alert, at - window)
        readings = []
        for name in themes.keys() & now.keys():
            old = rate_interval(before.get(name, 0), before[""], ALPHA / 2)
            new = rate_interval(now[name], now[""], ALPHA / 2)
            if old is None or new is None or min(now[name], before[""]) < alert.min_cases:
                continue
            if difference(old, new).lower > 0:
                readings.append(
                    Reading(
                        at,
                        new.estimate,
                        now[name],
                        baseline=old.estimate,
                        baseline_cases=before.get(name, 0),
                        theme=name,
                    )
                )
        return sorted(readings, key=lambda reading: reading.theme)

    def _sessions(self, alert: Alert, end: datetime) -> dict[str, int]:
        """Return the sessions of each theme in the window that ends at a time, and of all under ""."""
        end_ms = round(end.timestamp() * 1000)
        scope = ProjectSpan(alert.project_id, end_ms - alert.window_ms, end_ms)
        sql = compose(_SESSIONS, theme=theme_of(), analyses=scope.analyses())
        return {row["counted_theme"]: int(row["sessions"]) for row in self._store.rows(sql, scope.parameters())}
