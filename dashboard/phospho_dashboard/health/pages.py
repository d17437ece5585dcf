"""The page of the pipeline's health: the backlog, the recent work and the errors of each stage of a project."""

from __future__ import annotations

import time
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from phospho_dashboard.auth.visitors import Visitor
from phospho_dashboard.health.freshness import dead_letter_count, freshness
from phospho_dashboard.health.processes import PROCESS_METRICS, MetricsReader, Processes
from phospho_dashboard.layout.pages import SettingsPage
from phospho_dashboard.ledger.ledger import LedgerReader
from phospho_dashboard.queries.periods import Span
from phospho_dashboard.services import Endpoints, Services
from phospho_dashboard.web.formats import with_times
from phospho_dashboard.web.routes import page_and_twin
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


# The arrival of rows, which no view shows: the tables, without FINAL, since a row that came twice counts twice.
_THROUGHPUT = """
SELECT
    countIf(inserted_at >= now64(3) - INTERVAL 1 MINUTE) AS last_minute,
    countIf(inserted_at >= now64(3) - INTERVAL 15 MINUTE) AS last_15_minutes,
    count() AS last_hour
FROM task_rows
WHERE project_id = {project:String} AND inserted_at >= now64(3) - INTERVAL 1 HOUR
"""
_DEAD_LETTER_REASONS = """
SELECT stage, reason, count() AS dead_letters, toUnixTimestamp64Milli(max(received_at)) AS last_at_ms
FROM dead_letter_rows FINAL
WHERE project_id IN {projects:Array(String)}
GROUP BY stage, reason
ORDER BY dead_letters DESC, stage, reason
LIMIT 100
"""


class ProjectHealth:
    """Read the health of a project. Blocking; raises what the store raises."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._stages = Stages(store)
        self._ledger = LedgerReader(store)

    def read(self, project_id: str, projects: list[str]) -> dict[str, Any]:
        """Return freshness, throughput and the stages of a project, and the dead letters of `projects` by reason."""
        fresh = freshness(self._store, project_id, time.time_ns() // 1_000_000)
        dead_letters = dead_letter_count(self._store, projects, Span())
        [throughput] = self._store.rows(_THROUGHPUT, {"project": project_id})
        reasons = self._store.rows(_DEAD_LETTER_REASONS, {"projects": projects})
        return {
            "project_id": project_id,
            "freshness": fresh | {"dead_letters": dead_letters},
            "rows": throughput,
            "stages": self._stages.read(project_id, fresh["backlog_tasks"]),
            "dead_letters": [with_times(row) for row in reasons],
            "ledger": self._ledger.balance(project_id),
        }


_PATH = "/settings/health"

# The unit of each stage's counts.
_UNITS = {
    "extraction": "tasks", "detection": "tasks", "sink": "rows", "learning": "classifiers",
    "sessions": "session events", "backfills": "tasks", "judgements": "LLM calls",
    "webhooks": "deliveries",
}  # fmt: skip


class HealthPages(Endpoints):
    """The page and its twin. A project's key sees no process, since those serve every project."""

    def __init__(self, services: Services, own_metrics: MetricsReader | None) -> None:
        super().__init__(services)
        self._health = ProjectHealth(services.store)
        self._processes = Processes(own_metrics, services.settings.metrics_urls)
        self._page = SettingsPage(services, "health", "health/health.html")

    def routes(self) -> list[BaseRoute]:
        """Return the routes of the health."""
        return page_and_twin(_PATH, self.read, self.render)

    async def read(self, request: Request) -> tuple[Visitor, dict[str, Any]]:
        visitor, project_id = await self._access.page_visitor_and_project(request)
        projects = visitor.readable_projects(project_id)
        health = await self._threads.run(self._health.read, project_id, projects)
        processes = await self._threads.run(self._processes.read) if visitor.sees_installation else []
        return visitor, health | {"processes": processes}

    async def render(self, request: Request, visitor: Visitor, content: dict[str, Any]) -> Response:
        legend = {"fact_kinds": {metric.name: metric.kind for metric in PROCESS_METRICS}, "stage_units": _UNITS}
        return await self._page.render(request, visitor, content | legend)
