"""The freshness of a project's data, and the number of its dead letters."""

from __future__ import annotations

from typing import Any

from phospho_dashboard.queries.periods import BEYOND_MS, FIRST_MS, Span
from phospho_dashboard.web.formats import iso_time
from phospho_store.store import Store

# Freshness is measured on the tasks of this time.
RECENT_MS = 15 * 60_000
# The clocks of gateways and of ClickHouse differ by less.
_SKEW_MS = 60_000

# A task is behind for as long as it was on its way: from the gateway to the first row of its analysis. A task that
# waits counts until now, because the ones that got through would show no delay. A task that a backfill has analysed
# again, or to which new themes were given, is left out: the row of its first analysis may be merged away.
_FRESHNESS = """
WITH (
    SELECT groupUniqArray(toUnixTimestamp64Milli(created_at)) FROM
    (
        SELECT created_at FROM backfill_rows FINAL WHERE project_id = {project:String}
        UNION ALL SELECT created_at FROM theme_rows WHERE project_id = {project:String}
        UNION ALL SELECT created_at FROM theme_model_rows WHERE project_id = {project:String}
    )
    WHERE created_at >= fromUnixTimestamp64Milli({since_ms:Int64})
) AS rewrites_ms
SELECT
    count() AS tasks,
    countIf(analysed_ms = 0) AS backlog_tasks,
    countIf(NOT is_reanalysed) AS timed_tasks,
    quantileExactIf(0.95)(
        if(analysed_ms = 0, {now_ms:Int64}, greatest(analysed_ms, stored_ms)) - received_ms, NOT is_reanalysed
    ) AS behind_ms,
    max(stored_ms) AS last_stored_ms
FROM
(
    SELECT task.received_ms AS received_ms, task.stored_ms AS stored_ms, analysis.analysed_ms AS analysed_ms,
        arrayExists(at_ms -> received_ms < at_ms AND at_ms <= analysed_ms, rewrites_ms) AS is_reanalysed
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
_DEAD_LETTERS = """
SELECT count() AS dead_letters FROM dead_letter_rows FINAL
WHERE project_id IN {projects:Array(String)}
    AND received_at >= fromUnixTimestamp64Milli({start_ms:Int64})
    AND received_at < fromUnixTimestamp64Milli({end_ms:Int64})
"""


def freshness(store: Store, project_id: str, now_ms: int) -> dict[str, Any]:
    """
    Return `behind_ms`, `last_task_at` (both None where nothing came lately), `recent_tasks` and `backlog_tasks`.

    `behind_ms` is the 95th percentile of the time from a gateway's answer to the row of the analysis, over the tasks
    that a gateway took in the last 15 minutes. `backlog_tasks` of them are stored and not analysed yet. Tasks that have
    not arrived are unknown here: all of this is as of `last_task_at`, when the last of them was stored.
    """
    times = {"since_ms": now_ms - RECENT_MS, "analysed_since_ms": now_ms - RECENT_MS - _SKEW_MS, "now_ms": now_ms}
    [recent] = store.rows(_FRESHNESS, {"project": project_id, **times})
    return {
        "behind_ms": max(recent["behind_ms"], 0) if recent["timed_tasks"] else None,
        "last_task_at": iso_time(recent["last_stored_ms"]) if recent["tasks"] else None,
        "recent_tasks": recent["tasks"],
        "backlog_tasks": recent["backlog_tasks"],
    }


def dead_letter_count(store: Store, projects: list[str], span: Span) -> int:
    """Return the number of dead letters of `projects` that arrived within a span."""
    start_ms = FIRST_MS if span.start_ms is None else span.start_ms
    end_ms = BEYOND_MS - 1 if span.end_ms is None else span.end_ms
    [row] = store.rows(_DEAD_LETTERS, {"projects": projects, "start_ms": start_ms, "end_ms": end_ms})
    return int(row["dead_letters"])
