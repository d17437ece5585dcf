"""The page of the pipeline's health."""

from __future__ import annotations

import time
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from phospho_dashboard.auth.visitors import Visitor
from phospho_dashboard.health.freshness import dead_letter_count, freshness
from phospho_dashboard.health.processes import PROCESS_METRICS, MetricsReader, Processes
from phospho_dashboard.health.stages import Stages
from phospho_dashboard.layout.pages import SettingsPage
from phospho_dashboard.queries.periods import Span
from phospho_dashboard.services import Endpoints, Services
from phospho_dashboard.web.formats import with_times
from phospho_dashboard.web.routes import page_and_twin
from phospho_store.store import Store

# The arrival of rows, which no view shows: the tables, without FINAL, since a row that came twice counts twice.
_THROUGHPUT = """
SELECT
    countIf(inserted_at >= now64(3) - INTERVAL 1 MINUTE) AS last_minute,
    countIf(inserted_at >= now64(3) - INTERVAL 15 MINUTE) AS last_15_minutes,
    count() AS last_hour
FROM task_rows
WHERE project_id = {project:String} AND inserted_at >= now64(3) - INTERVAL 1 HOUR
"""
_DEAD_LETTERS = """
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

    def read(self, project_id: str, projects: list[str]) -> dict[str, Any]:
        """Return freshness, throughput and the stages of a project, and the dead letters of `projects` by reason."""
        fresh = freshness(self._store, project_id, time.time_ns() // 1_000_000)
        dead_letters = dead_letter_count(self._store, projects, Span())
        [throughput] = self._store.rows(_THROUGHPUT, {"project": project_id})
        reasons = self._store.rows(_DEAD_LETTERS, {"projects": projects})
        return {
            "project_id": project_id,
            "freshness": fresh | {"dead_letters": dead_letters},
            "rows": throughput,
            "stages": self._stages.read(project_id, fresh["backlog_tasks"]),
            "dead_letters": [with_times(row) for row in reasons],
        }


_PATH = "/settings/health"

# The unit of each stage's counts.
_UNITS = {
    "extraction": "tasks", "detection": "tasks", "sink": "rows of both", "learning": "classifiers",
    "sessions": "sessions and turns", "backfills": "tasks", "judgements": "calls of an LLM",
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
        processes = await self._threads.run(self._processes.read) if visitor.project_id is None else []
        return visitor, health | {"processes": processes}

    async def render(self, request: Request, visitor: Visitor, content: dict[str, Any]) -> Response:
        legend = {"fact_kinds": {metric.name: metric.kind for metric in PROCESS_METRICS}, "stage_units": _UNITS}
        return await self._page.render(request, visitor, content | legend)
