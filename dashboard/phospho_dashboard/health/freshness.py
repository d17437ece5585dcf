"""How far behind a project's data is."""

from __future__ import annotations

from typing import Any

from phospho_dashboard.web.times import iso_time
from phospho_store.store import Store

# What came within this time says how fresh data is.
RECENT_MS = 15 * 60_000
# The clocks of gateways and of ClickHouse differ by less.
_SKEW_MS = 60_000

# A task is behind for as long as it was on its way: from the gateway to the first row of its analysis. One that waits
# has been on its way until now: left out, the ones that got through would tell of no delay. One that a backfill has
# analysed again says nothing of it, where the row of its first analysis is merged away.
_FRESHNESS = """
WITH (
    SELECT groupArray(toUnixTimestamp64Milli(created_at)) FROM backfill_rows FINAL
    WHERE project_id = {project:String} AND updated_at >= fromUnixTimestamp64Milli({since_ms:Int64})
) AS backfills_ms
SELECT
    count() AS tasks,
    countIf(analysed_ms = 0) AS backlog_tasks,
    countIf(NOT is_told_again) AS timed_tasks,
    quantileExactIf(0.95)(
        if(analysed_ms = 0, {now_ms:Int64}, greatest(analysed_ms, stored_ms)) - received_ms, NOT is_told_again
    ) AS behind_ms,
    max(stored_ms) AS last_stored_ms
FROM
(
    SELECT task.received_ms AS received_ms, task.stored_ms AS stored_ms, analysis.analysed_ms AS analysed_ms,
        arrayExists(at_ms -> received_ms < at_ms AND at_ms <= analysed_ms, backfills_ms) AS is_told_again
    FROM
    (
        SELECT task_id, revision, toUnixTimestamp64Milli(received_at) AS received_ms,
            toUnixTimestamp64Milli(inserted_at) AS stored_ms
        FROM task_rows FINAL
        WHERE project_id = {project:String} AND received_at >= fromUnixTimestamp64Milli({since_ms:Int64})
    ) AS task
    LEFT ANY JOIN
    (
        SELECT task_id, revision, toUnixTimestamp64Milli(min(inserted_at)) AS analysed_ms
        FROM analysis_rows
        WHERE project_id = {project:String} AND inserted_at >= fromUnixTimestamp64Milli({analysed_since_ms:Int64})
        GROUP BY task_id, revision
    ) AS analysis
    ON task.task_id = analysis.task_id AND task.revision = analysis.revision
)
"""


def freshness(store: Store, project_id: str, now_ms: int) -> dict[str, Any]:
    """
    Return `behind_ms`, `last_task_at` (both None where nothing came lately), `recent_tasks` and `backlog_tasks`.

    `behind_ms` is how long 95 of 100 tasks that a gateway took in the last 15 minutes were on their way at most, from
    its answer to the row of their analysis. `backlog_tasks` of them are stored and not analysed yet. What has not
    arrived here is not known here: `last_task_at`, when the last of them was stored, is the time of which this is true.
    """
    times = {"since_ms": now_ms - RECENT_MS, "analysed_since_ms": now_ms - RECENT_MS - _SKEW_MS, "now_ms": now_ms}
    [recent] = store.rows(_FRESHNESS, {"project": project_id, **times})
    return {
        "behind_ms": max(recent["behind_ms"], 0) if recent["timed_tasks"] else None,
        "last_task_at": iso_time(recent["last_stored_ms"]) if recent["tasks"] else None,
        "recent_tasks": recent["tasks"],
        "backlog_tasks": recent["backlog_tasks"],
    }
