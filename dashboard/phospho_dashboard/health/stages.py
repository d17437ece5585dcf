"""The stages of the pipeline for one project: the backlog, the recent work and the errors of each."""

from __future__ import annotations

from typing import Any

from phospho_dashboard.web.formats import with_times
from phospho_store.store import Store

# The arrival of rows, which no view shows: the tables, without FINAL, since a row that came twice counts twice.
_ARRIVED = """
SELECT countIf(at >= now64(3) - INTERVAL 1 MINUTE) AS last_minute, count() AS last_hour,
    if(count() = 0, NULL, toUnixTimestamp64Milli(max(at))) AS last_at_ms
FROM (SELECT %(at)s AS at FROM %(table)s WHERE project_id = {project:String} AND at >= now64(3) - INTERVAL 1 HOUR)
"""
# A revision begins with the milliseconds of the clock that stamped it: of a delivery, the time of its last attempt. A
# delivery that is pending after an attempt has failed so far.
_WEBHOOKS = """
SELECT countIf(status = 'pending') AS waiting,
    countIf(status = 'delivered' AND at >= now64(3) - INTERVAL 1 MINUTE) AS last_minute,
    countIf(status = 'delivered' AND at >= now64(3) - INTERVAL 1 HOUR) AS last_hour,
    countIf((status = 'dead' OR status = 'pending' AND attempts > 0) AND at >= now64(3) - INTERVAL 1 HOUR) AS errors,
    if(count() = 0, NULL, toUnixTimestamp64Milli(max(at))) AS last_at_ms
FROM
(
    SELECT toString(status) AS status, attempts,
        fromUnixTimestamp64Milli(toInt64(bitShiftRight(revision, 16)), 'UTC') AS at
    FROM webhook_delivery_rows FINAL WHERE project_id = {project:String}
)
"""
_BACKFILLS = """
SELECT sumIf(greatest(toInt64(tasks) - toInt64(tasks_done), 0), status = 'running') AS waiting,
    countIf(status = 'failed' AND updated_at >= now64(3) - INTERVAL 1 HOUR) AS errors,
    if(count() = 0, NULL, toUnixTimestamp64Milli(max(updated_at))) AS last_at_ms
FROM backfill_rows FINAL WHERE project_id = {project:String}
"""
_FAILED_CALLS = """
SELECT countIf(outcome IN ('failed', 'refused')) AS errors FROM llm_call_rows FINAL
WHERE project_id = {project:String} AND created_at >= now64(3) - INTERVAL 1 HOUR
"""
_DEAD_LETTERS = """
SELECT toString(stage) AS stage, count() AS errors FROM dead_letter_rows FINAL
WHERE project_id = {project:String} AND received_at >= now64(3) - INTERVAL 1 HOUR
GROUP BY stage
"""

Row = dict[str, Any]

_UNKNOWN: Row = {"waiting": None, "last_minute": None, "last_hour": None, "errors": 0, "last_at": None}


class Stages:
    """Read the work of the stages. Blocking; raises what the store raises."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def read(self, project_id: str, backlog_tasks: int) -> list[Row]:
        """
        Return a row for each stage, in the order of the pipeline.

        `waiting` is None where the store does not know it: a lag in Kafka is in the metrics of a process. `last_minute`
        and `last_hour` count finished work, `errors` are those of the last hour, and `last_at` is the time of the last
        work, None where that is more than an hour ago.
        """
        return [*self._stream(project_id, backlog_tasks), *self._jobs(project_id)]

    def _stream(self, project_id: str, backlog_tasks: int) -> list[Row]:
        errors = {row["stage"]: row["errors"] for row in self._rows(_DEAD_LETTERS, project_id)}
        stored = [
            self._arrived("extraction", project_id, "task_rows"),
            self._arrived("detection", project_id, "analysis_rows") | {"waiting": backlog_tasks},
        ]
        sink = {"stage": "sink"} | {name: sum(row[name] for row in stored) for name in ("last_minute", "last_hour")}
        sink["last_at"] = max((row["last_at"] for row in stored if row["last_at"]), default=None)
        return [row | {"errors": errors.get(row["stage"], 0)} for row in (*stored, _UNKNOWN | sink)]

    def _jobs(self, project_id: str) -> list[Row]:
        judgements = self._arrived("judgements", project_id, "llm_call_rows", time_column="created_at")
        return [
            self._arrived("learning", project_id, "classifier_rows", time_column="created_at"),
            self._arrived("sessions", project_id, "session_analysis_rows"),
            self._stage("backfills", _BACKFILLS, project_id),
            judgements | self._rows(_FAILED_CALLS, project_id)[0],
            self._stage("webhooks", _WEBHOOKS, project_id),
        ]

    def _arrived(self, stage: str, project_id: str, table: str, time_column: str = "inserted_at") -> Row:
        return self._stage(stage, _ARRIVED % {"at": time_column, "table": table}, project_id)

    def _stage(self, stage: str, sql: str, project_id: str) -> Row:
        [row] = self._rows(sql, project_id)
        return _UNKNOWN | {"stage": stage} | with_times(row)

    def _rows(self, sql: str, project_id: str) -> list[Row]:
        return self._store.rows(sql, {"project": project_id})
