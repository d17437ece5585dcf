"""The charts beside the tables of versions and of users: both over time, and the activity of users."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from phospho_dashboard.queries.filters import Scope
from phospho_dashboard.queries.periods import Bucket, Buckets
from phospho_dashboard.web.formats import iso_time
from phospho_store.sql import compose
from phospho_store.store import Store

_VERSIONS = """
SELECT $bucket AS bucket,
    toString(version_id) AS version, count() AS tasks
FROM task_rows FINAL
WHERE $tasks AND version_id IN {versions:Array(String)}
GROUP BY bucket, version
"""
_USERS = """
SELECT $bucket AS bucket,
    uniqExact(cityHash64(user_id)) AS users, count() AS tasks
FROM task_rows FINAL
WHERE $tasks AND user_id != ''
GROUP BY bucket
"""
_TASKS_PER_USER = """
SELECT toUInt32(floor(log2(tasks))) AS bin, count() AS users
FROM (SELECT count() AS tasks FROM task_rows FINAL WHERE $tasks AND user_id != '' GROUP BY user_id)
GROUP BY bin
"""

Row = dict[str, Any]


class Trends:
    """Read trends. Blocking; raises what the store raises."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def versions(self, scope: Scope, buckets: Buckets, versions: Sequence[str]) -> list[Row]:
        """Return a row a bucket, empty ones too: `tasks` has those of each version, in the order of `versions`."""
        rows = self._rows(_VERSIONS, scope, buckets, versions=list(versions))
        counts = {(row["bucket"], row["version"]): row["tasks"] for row in rows}
        return [
            times | {"tasks": [counts.get((index, version), 0) for version in versions]}
            for index, times in enumerate(map(bucket_times, buckets))
        ]

    def users(self, scope: Scope, buckets: Buckets) -> list[Row]:
        """Return a row a bucket, empty ones too: the number of `users` with a task in it, and of their `tasks`."""
        counts = {row.pop("bucket"): row for row in self._rows(_USERS, scope, buckets)}
        nobody = {"users": 0, "tasks": 0}
        return [times | counts.get(index, nobody) for index, times in enumerate(map(bucket_times, buckets))]

    def tasks_per_user(self, scope: Scope) -> list[Row]:
        """Return the number of `users` with `from` to `to` tasks: each bin is twice as wide as the one before."""
        rows = self._store.rows(compose(_TASKS_PER_USER, tasks=scope.tasks()), scope.parameters())
        counts = {row["bin"]: row["users"] for row in rows}
        bins = range(max(counts, default=-1) + 1)
        return [{"from": 2**number, "to": 2 ** (number + 1) - 1, "users": counts.get(number, 0)} for number in bins]

    def _rows(self, sql: str, scope: Scope, buckets: Buckets, **parameters: Any) -> list[Row]:
        sql = compose(sql, tasks=scope.tasks(), bucket=buckets.sql)
        return self._store.rows(sql, scope.parameters(**buckets.parameters, **parameters))


def bucket_times(bucket: Bucket) -> dict[str, Any]:
    """Return the times of a point of a chart: a list from `start_at` up to `end_at` has what it counts."""
    return {"start_at": iso_time(bucket.start_ms), "end_at": iso_time(bucket.end_ms), "is_whole": bucket.is_whole}
