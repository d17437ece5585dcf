"""The figures of themes: how many tasks, users and sessions each has, how people feel in it, and how it changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from phospho_dashboard.queries.filters import Scope
from phospho_dashboard.queries.periods import Buckets
from phospho_schemas.rows.themes import ThemeSide
from phospho_store.confidence import ALPHA, difference, rate_interval
from phospho_store.sql import compose
from phospho_store.sql.analysed import analysed, flagged_tasks
from phospho_store.sql.themes import current_themes, theme_column, theme_of
from phospho_store.store import Store

_OF_PROJECT = "project_id = {project:String}"
_THEMES = compose("SELECT * FROM $themes ORDER BY theme_id", themes=current_themes(_OF_PROJECT))
_FIGURES = """
SELECT $theme AS theme_id, count() AS tasks, uniqExact(cityHash64(session_id)) AS sessions,
    uniqExactIf(cityHash64(user_id), user_id != '') AS users,
    countIf(sentiment = 'positive') AS positive, countIf(sentiment = 'negative') AS negative
FROM analysis_rows FINAL WHERE $analyses
GROUP BY theme_id
"""
_TREND = """
SELECT $theme AS theme_id, $bucket AS bucket, count() AS tasks
FROM analysis_rows FINAL WHERE $analyses
GROUP BY theme_id, bucket
"""
# The unit of a change is the session, as tasks of one depend on each other.
_SESSIONS = """
SELECT $theme AS theme_id, uniqExact(cityHash64(session_id)) AS sessions
FROM analysis_rows FINAL WHERE $analyses
GROUP BY theme_id
"""
_ALL_SESSIONS = "SELECT uniqExact(cityHash64(session_id)) AS sessions FROM analysis_rows FINAL WHERE $analyses"
_FEEDBACK = """
SELECT theme_id, countIf(flag = 'success') AS successes, countIf(flag = 'failure') AS failures
FROM $flagged AS flagged
INNER JOIN (SELECT task_id, $theme AS theme_id FROM analysis_rows FINAL WHERE $analyses AND $column != '') AS analysis
ON flagged.task_id = analysis.task_id
GROUP BY theme_id
"""
_EVENTS = """
SELECT name, count() AS tasks FROM (SELECT arrayJoin(names) AS name FROM $analysed)
GROUP BY name ORDER BY tasks DESC, name LIMIT 12
"""
# Of each theme, the number of tasks with its most frequent event.
_COVERED = """
SELECT theme_id, max(tasks) AS tasks FROM
(
    SELECT $theme AS theme_id, arrayJoin(arrayDistinct(names)) AS name, count() AS tasks
    FROM $analysed WHERE is_task AND $column != '' GROUP BY theme_id, name
)
GROUP BY theme_id
"""
NONE = {"tasks": 0, "sessions": 0, "users": 0, "positive": 0, "negative": 0, "successes": 0, "failures": 0}

Row = dict[str, Any]


class ThemeFigures:
    """Reads themes and the figures of those of a side of the tasks. Blocking; raises what the store raises."""

    def __init__(self, store: Store, side: ThemeSide = "input") -> None:
        self._store = store
        self._column = theme_column(side)

    def of_side(self, side: ThemeSide) -> ThemeFigures:
        """Return the reader of the figures of another side."""
        return ThemeFigures(self._store, side)

    def themes(self, project_id: str) -> dict[str, Row]:
        """
        Return the current themes of a project with people's edits, by id; those merged into others too.

        `is_later` says that a theme was not among the first ones of its side.
        """
        rows = self._store.rows(_THEMES, {"project": project_id})
        first_at: dict[str, str] = {}
        for row in rows:
            first_at[row["side"]] = min(first_at.get(row["side"], row["created_at"]), row["created_at"])
        return {row["theme_id"]: row | {"is_later": row["created_at"] > first_at[row["side"]]} for row in rows}

    def of_scope(self, scope: Scope) -> dict[str, Row]:
        """Return by theme its tasks, sessions, users, sentiment and feedback; "" has the tasks without a theme."""
        counts = {row.pop("theme_id"): row for row in self._rows(_FIGURES, scope)}
        feedback = {row.pop("theme_id"): row for row in self._rows(_FEEDBACK, scope)}
        return {name: NONE | counts.get(name, {}) | feedback.get(name, {}) for name in counts}

    def trends(self, scope: Scope, buckets: Buckets) -> dict[str, list[int]]:
        """Return by theme its tasks in each bucket."""
        trends: dict[str, list[int]] = {}
        for row in self._rows(_TREND, scope, bucket=buckets.sql, **buckets.parameters):
            counts = trends.setdefault(row["theme_id"], [0] * buckets.count)
            if 0 <= row["bucket"] < buckets.count:
                counts[row["bucket"]] += row["tasks"]
        return trends

    def changes(self, scope: Scope, figures: Mapping[str, Row], now_ms: int) -> dict[str, str]:
        """
        Return the themes that are `growing` or `shrinking`: their shares of sessions against the period before.

        `figures` are those of the scope.
        The intervals of both periods stay valid however often they are read. Nothing changes without a period before.
        """
        before = scope.before(now_ms)
        if before is None:
            return {}
        now_counts, now_total = {name: row["sessions"] for name, row in figures.items()}, self._all_sessions(scope)
        old_counts = {row["theme_id"]: row["sessions"] for row in self._rows(_SESSIONS, before)}
        old_total = self._all_sessions(before)
        changes: dict[str, str] = {}
        for name in now_counts.keys() | old_counts.keys():
            new = rate_interval(now_counts.get(name, 0), now_total, ALPHA / 2)
            old = rate_interval(old_counts.get(name, 0), old_total, ALPHA / 2)
            if new is not None and old is not None:
                delta = difference(old, new)
                changes[name] = "growing" if delta.lower > 0 else "shrinking" if delta.upper < 0 else ""
        return changes

    def covered(self, scope: Scope) -> dict[str, int]:
        """Return by theme how many of its tasks have the event that most of them have; none of themes without any."""
        parts = {"theme": theme_of(self._column), "column": self._column}
        sql = compose(_COVERED, **parts, analysed=analysed(scope, "task_id", self._column))
        return {row["theme_id"]: int(row["tasks"]) for row in self._store.rows(sql, scope.parameters())}

    def events(self, scope: Scope) -> list[Row]:
        """Return the events of the tasks of a scope, the most frequent first, twelve at most."""
        return self._store.rows(compose(_EVENTS, analysed=analysed(scope, "task_id")), scope.parameters())

    def _all_sessions(self, scope: Scope) -> int:
        [total] = self._rows(_ALL_SESSIONS, scope)
        return int(total["sessions"])

    def _rows(self, sql: str, scope: Scope, *, bucket: str = "", **parameters: Any) -> list[Row]:
        parts = {
            "theme": theme_of(self._column),
            "column": self._column,
            "analyses": scope.analyses(),
            "bucket": bucket,
        }
        flagged = flagged_tasks(scope, "task_id") if "$flagged" in sql else ""
        return self._store.rows(compose(sql, **parts, flagged=flagged), scope.parameters(**parameters))
