"""Users: who uses the app, how much, and how it goes for them."""

from __future__ import annotations

from typing import Any

from phospho_dashboard.queries.analysed import analysed
from phospho_dashboard.queries.filters import Scope
from phospho_dashboard.web.times import with_times
from phospho_store.cursors import encoded_cursor
from phospho_store.store import Store

_FIRST_PLACE = (2**62, "\U0010ffff")

# The name in the URL, how it reads, and an Int64 of a user's tasks; the greatest first.
SORTS = {
    "tasks": ("Most tasks first", "toInt64(count())"),
    "newest": ("Last seen first", "toUnixTimestamp64Milli(max(created_at))"),
    "sessions": ("Most sessions first", "toInt64(uniqExact(cityHash64(session_id)))"),
    "tokens": ("Most tokens first", "toInt64(sum(ifNull(tokens_in, 0)) + sum(ifNull(tokens_out, 0)))"),
}

_USERS = """
SELECT
    user_id AS user, %(sort)s AS place, count() AS tasks, uniqExact(cityHash64(session_id)) AS sessions,
    toUnixTimestamp64Milli(min(created_at)) AS first_task_at_ms,
    toUnixTimestamp64Milli(max(created_at)) AS last_task_at_ms,
    sum(ifNull(tokens_in, 0)) + sum(ifNull(tokens_out, 0)) AS tokens
FROM task_rows FINAL
WHERE %(tasks)s AND user_id != ''
GROUP BY user_id
HAVING (place, user) < ({before:Int64}, {before_id:String})
ORDER BY place DESC, user DESC
LIMIT {limit:UInt32}
"""
_FINDINGS = """
SELECT user_id AS user, sum(length(names)) AS events, sumMap(names, arrayMap(name -> 1, names)) AS event_counts,
    countIf(sentiment = 'positive') AS positive, countIf(sentiment = 'negative') AS negative
FROM %(analysed)s
GROUP BY user_id
"""
_TOP_EVENTS = 3
_NOTHING_FOUND = {"events": 0, "event_counts": [[], []], "positive": 0, "negative": 0}

Row = dict[str, Any]


class Users:
    """Reads users."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def page(self, scope: Scope, sort: str, after: tuple[int, str] | None, limit: int) -> Row:
        """Return `{"users", "next_cursor"}`: up to `limit` users with a task in `scope`, by one of SORTS."""
        place, place_id = after or _FIRST_PLACE
        sql = _USERS % {"sort": SORTS[sort][1], "tasks": scope.tasks()}
        found = self._store.rows(sql, scope.parameters(before=place, before_id=place_id, limit=limit + 1))
        shown = found[:limit]
        last = shown[-1] if len(found) > limit else None
        return {
            "users": self._with_findings(scope, shown),
            "next_cursor": encoded_cursor(last["place"], last["user"]) if last else None,
        }

    def _with_findings(self, scope: Scope, users: list[Row]) -> list[Row]:
        if not users:
            return []
        sql = _FINDINGS % {"analysed": analysed(scope, "user_id", "sentiment", also="user_id IN {users:Array(String)}")}
        parameters = scope.parameters(users=[row["user"] for row in users])
        findings = {row["user"]: row for row in self._store.rows(sql, parameters)}
        return [_user(row, _NOTHING_FOUND | findings.get(row["user"], {})) for row in users]


def _user(row: Row, findings: Row) -> Row:
    """Return what a page says of a user: `top_events` are the names of their most frequent ones."""
    counts = dict(zip(*findings.pop("event_counts"), strict=True))
    top_events = sorted(counts, key=lambda name: (-counts[name], name))[:_TOP_EVENTS]
    known = {name: value for name, value in with_times(row).items() if name != "place"}
    return known | findings | {"top_events": top_events}
