"""The page of the pipeline's health."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from phospho_dashboard.auth.visitors import Visitor
from phospho_dashboard.endpoints import Endpoints
from phospho_dashboard.health.health import ProjectHealth
from phospho_dashboard.health.processes import PROCESS_METRICS, MetricsReader, Processes
from phospho_dashboard.layout.pages import SettingsPage
from phospho_dashboard.services import Services
from phospho_dashboard.web.routes import page_and_twin

_PATH = "/settings/health"

# The unit of each stage's counts.
_UNITS = {
    "extraction": "tasks", "detection": "tasks", "sink": "rows of both", "learning": "classifiers",
    "sessions": "sessions and turns", "backfills": "tasks", "judgements": "calls of an LLM",
    "webhooks": "deliveries",
}  # fmt: skip


def health_page_routes(services: Services, own_metrics: MetricsReader | None) -> list[BaseRoute]:
    """Return the routes of the health."""
    pages = HealthPages(services, own_metrics)
    return page_and_twin(_PATH, pages.read, pages.render)


class HealthPages(Endpoints):
    """The page and its twin. A project's key sees no process, since those serve every project."""

    def __init__(self, services: Services, own_metrics: MetricsReader | None) -> None:
        super().__init__(services)
        self._health = ProjectHealth(services.store)
        self._processes = Processes(own_metrics, services.settings.metrics_urls)
        self._page = SettingsPage(services, "health", "health/health.html")

    async def read(self, request: Request) -> tuple[Visitor, dict[str, Any]]:
        visitor, project_id = await self._access.page_visitor_and_project(request)
        projects = visitor.readable_projects(project_id)
        health = await self._threads.run(self._health.read, project_id, projects)
        processes = await self._threads.run(self._processes.read) if visitor.project_id is None else []
        return visitor, health | {"processes": processes}

    async def render(self, request: Request, visitor: Visitor, content: dict[str, Any]) -> Response:
        legend = {"fact_kinds": {metric.name: metric.kind for metric in PROCESS_METRICS}, "stage_units": _UNITS}
        return await self._page.render(request, visitor, content | legend)
