"""What charts beside a table of versions or users show: how they come and go, and how much the users do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from phospho_dashboard.queries.filters import Scope
from phospho_dashboard.queries.periods import Buckets
from phospho_dashboard.web.times import bounds
from phospho_store.store import Store

_VERSIONS = """
SELECT intDiv(toUnixTimestamp64Milli(created_at) - {origin_ms:Int64}, {step_ms:Int64}) AS bucket,
    toString(version_id) AS version, count() AS tasks
FROM task_rows FINAL
WHERE %(tasks)s AND version_id IN {versions:Array(String)}
GROUP BY bucket, version
"""
_USERS = """
SELECT intDiv(toUnixTimestamp64Milli(created_at) - {origin_ms:Int64}, {step_ms:Int64}) AS bucket,
    uniqExact(cityHash64(user_id)) AS users, count() AS tasks
FROM task_rows FINAL
WHERE %(tasks)s AND user_id != ''
GROUP BY bucket
"""
_TASKS_PER_USER = """
SELECT toUInt32(floor(log2(tasks))) AS bin, count() AS users
FROM (SELECT count() AS tasks FROM task_rows FINAL WHERE %(tasks)s AND user_id != '' GROUP BY user_id)
GROUP BY bin
"""

Row = dict[str, Any]


class Trends:
    """Reads trends. Blocking; raises what the store raises."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def versions(self, scope: Scope, buckets: Buckets, versions: Sequence[str]) -> list[Row]:
        """Return a row a bucket, empty ones too: `tasks` has those of each version, in the order of `versions`."""
        rows = self._rows(_VERSIONS, scope, buckets, versions=list(versions))
        found = {(row["bucket"], row["version"]): row["tasks"] for row in rows}
        return [
            at | {"tasks": [found.get((index, version), 0) for version in versions]}
            for index, at in enumerate(map(bounds, buckets))
        ]

    def users(self, scope: Scope, buckets: Buckets) -> list[Row]:
        """Return a row a bucket, empty ones too: how many `users` had a task in it, and their `tasks`."""
        found = {row.pop("bucket"): row for row in self._rows(_USERS, scope, buckets)}
        nobody = {"users": 0, "tasks": 0}
        return [at | found.get(index, nobody) for index, at in enumerate(map(bounds, buckets))]

    def tasks_per_user(self, scope: Scope) -> list[Row]:
        """Return how many `users` have `from` to `to` tasks: each bin is twice as wide as the one before."""
        rows = self._store.rows(_TASKS_PER_USER % {"tasks": scope.tasks()}, scope.parameters())
        found = {row["bin"]: row["users"] for row in rows}
        bins = range(max(found, default=-1) + 1)
        return [{"from": 2**number, "to": 2 ** (number + 1) - 1, "users": found.get(number, 0)} for number in bins]

    def _rows(self, sql: str, scope: Scope, buckets: Buckets, **parameters: Any) -> list[Row]:
        cut = {"origin_ms": buckets.start_ms, "step_ms": buckets.step_ms}
        return self._store.rows(sql % {"tasks": scope.tasks()}, scope.parameters(**cut, **parameters))
