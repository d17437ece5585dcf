"""One user: their activity, success, events, themes and latest sessions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from phospho_dashboard.analytics import sessions
from phospho_dashboard.analytics.overview import Overview
from phospho_dashboard.layout.views import Content, Paging, View, ViewRequest
from phospho_dashboard.queries.filters import Scope, searched
from phospho_dashboard.settings import Prices
from phospho_dashboard.web.formats import with_times
from phospho_store.sql import compose
from phospho_store.sql.themes import current_themes, theme_of
from phospho_store.store import Store
from phospho_web.problems import Problem

_SESSIONS = 10

# Of all time, whatever the filters.
_SEEN = """
SELECT toUnixTimestamp64Milli(min(created_at)) AS first_task_at_ms,
    toUnixTimestamp64Milli(max(created_at)) AS last_task_at_ms
FROM task_rows FINAL WHERE project_id = {project:String} AND user_id = {user:String}
HAVING count() > 0
"""
_THEMES = compose(
    """
SELECT theme_id AS theme, title, tasks FROM
(
    SELECT $theme AS theme_id, count() AS tasks FROM analysis_rows FINAL WHERE $$analyses AND theme_id != ''
    GROUP BY theme_id
) AS counts
INNER JOIN (SELECT theme_id, title FROM $themes) AS theme USING (theme_id)
ORDER BY tasks DESC, theme_id LIMIT 12
""",
    theme=theme_of(),
    themes=current_themes("project_id = {project:String}"),
)

Row = dict[str, Any]


class UserPage:
    """The view of one user. Its filters narrow everything but when the user was first and last seen."""

    def __init__(self, store: Store, prices: Prices) -> None:
        self._store = store
        self._overview = Overview(store, prices)
        self._sessions = sessions.Sessions(store)

    def views(self) -> list[View]:
        return [View("users", "/users", "analytics/user.html", self.read, is_item=True)]

    def read(self, request: ViewRequest) -> Content:
        """Return the content of the page; Problem 404 for a user without tasks."""
        user = request.item_id
        seen = self._store.rows(_SEEN, {"project": request.project_id, "user": user})
        if not seen:
            raise Problem(404, "unknown_user", f"there is no user {user!r} in this project")
        scope = replace(request.scope, filters=replace(request.scope.filters, user=user))
        paging = Paging(next(iter(sessions.SORTS)), None, _SESSIONS)
        numbers = self._overview.read(searched(self._store, scope), request.buckets())
        names = ("totals", "currency", "step_ms", "over_time", "events", "models", "versions")
        return {
            "user": {"user_id": user} | with_times(seen[0]),
            "has_tasks": request.has_tasks,
            **{name: numbers[name] for name in names},
            "themes": self._themes(scope),
            "sessions": self._sessions.page(scope, request.extent, paging)["sessions"],
        }

    def _themes(self, scope: Scope) -> list[Row]:
        return self._store.rows(compose(_THEMES, analyses=scope.analyses()), scope.parameters())
