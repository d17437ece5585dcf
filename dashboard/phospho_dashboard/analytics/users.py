"""Users: the list of them, with their activity, events and sentiment."""

from __future__ import annotations

from typing import Any

from phospho_dashboard.analytics.trends import Trends
from phospho_dashboard.layout.views import PAGING, Content, Paging, View, ViewRequest, sort_labels
from phospho_dashboard.queries.filters import Scope, searched
from phospho_dashboard.web.formats import with_times
from phospho_store.sql import compose
from phospho_store.sql.analysed import analysed
from phospho_store.store import Store

_FIRST_PLACE = (2**62, "\U0010ffff")

# The sorts of the list, the greatest first: the name in the URL, the label, and an Int64 of a user's tasks.
SORTS = {
    "tasks": ("Most tasks first", "toInt64(count())"),
    "newest": ("Last seen first", "toUnixTimestamp64Milli(max(created_at))"),
    "sessions": ("Most sessions first", "toInt64(uniqExact(cityHash64(session_id)))"),
    "tokens": ("Most tokens first", "toInt64(sum(ifNull(tokens_in, 0)) + sum(ifNull(tokens_out, 0)))"),
}

_USERS = """
SELECT
    user_id AS user, $sort AS place, count() AS tasks, uniqExact(cityHash64(session_id)) AS sessions,
    toUnixTimestamp64Milli(min(created_at)) AS first_task_at_ms,
    toUnixTimestamp64Milli(max(created_at)) AS last_task_at_ms,
    sum(ifNull(tokens_in, 0)) + sum(ifNull(tokens_out, 0)) AS tokens
FROM task_rows FINAL
WHERE $tasks AND user_id != ''
GROUP BY user_id
HAVING (place, user) < ({before:Int64}, {before_id:String})
ORDER BY place DESC, user DESC
LIMIT {limit:UInt32}
"""
_ANALYSIS_TOTALS = """
SELECT user_id AS user, sum(length(names)) AS events, sumMap(names, arrayMap(name -> 1, names)) AS event_counts,
    countIf(sentiment = 'positive') AS positive, countIf(sentiment = 'negative') AS negative
FROM $analysed
GROUP BY user_id
"""
_TOP_EVENTS = 3
_NO_ANALYSIS_TOTALS = {"events": 0, "event_counts": [[], []], "positive": 0, "negative": 0}

Row = dict[str, Any]


class Users:
    """Read users. Blocking."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def page(self, scope: Scope, paging: Paging) -> Row:
        """Return `{"users", "next_cursor"}`: a page of the users with a task in `scope`, by one of SORTS."""
        sql = compose(_USERS, sort=SORTS[paging.sort][1], tasks=scope.tasks())
        rows = self._store.rows(sql, scope.parameters(**paging.position(_FIRST_PLACE)))
        page_rows, next_cursor = paging.split(rows, "user")
        return {"users": self._with_findings(scope, page_rows), "next_cursor": next_cursor}

    def _with_findings(self, scope: Scope, users: list[Row]) -> list[Row]:
        if not users:
            return []
        analyses = analysed(scope, "user_id", "sentiment", also="user_id IN {users:Array(String)}")
        parameters = scope.parameters(users=[row["user"] for row in users])
        findings = {
            row["user"]: row for row in self._store.rows(compose(_ANALYSIS_TOTALS, analysed=analyses), parameters)
        }
        return [_user(row, _NO_ANALYSIS_TOTALS | findings.get(row["user"], {})) for row in users]


def _user(row: Row, findings: Row) -> Row:
    """Return a user with their findings; `top_events` are the names of their most frequent events."""
    counts = dict(zip(*findings.pop("event_counts"), strict=True))
    top_events = sorted(counts, key=lambda name: (-counts[name], name))[:_TOP_EVENTS]
    columns = {name: value for name, value in with_times(row).items() if name != "place"}
    return columns | findings | {"top_events": top_events}


class UsersPage:
    """The view of the list of users. Its first page has the charts as well, which are the same for all pages."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._users = Users(store)
        self._trends = Trends(store)

    def views(self) -> list[View]:
        labels = sort_labels(SORTS)
        return [
            View(
                "users",
                "/users",
                "analytics/users.html",
                self.read,
                page_extras=lambda _request, _content: labels,
                parameters=PAGING,
            )
        ]

    def read(self, request: ViewRequest) -> Content:
        paging, scope = request.paging(SORTS), searched(self._store, request.scope)
        page = {"sort": paging.sort, "has_tasks": request.has_tasks} | self._users.page(scope, paging)
        if paging.after is not None:
            return page
        buckets = request.buckets()
        trend = {"step_ms": buckets.step_ms, "over_time": self._trends.users(scope, buckets)}
        return page | trend | {"tasks_per_user": self._trends.tasks_per_user(scope)}
