"""The page of the pipeline's health."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from phospho_dashboard.auth.access import Access
from phospho_dashboard.auth.visitors import Visitor
from phospho_dashboard.dead_letters.api import readable_projects
from phospho_dashboard.health.health import FACTS, Health
from phospho_dashboard.layout.settings_frame import SettingsFrames
from phospho_dashboard.services import Services
from phospho_dashboard.web.rendering import paged
from phospho_dashboard.web.times import with_times
from phospho_web.responses import json_response, with_json_errors

_PATH = "/settings/health"

# What each stage counts.
_UNITS = {
    "extraction": "tasks", "detection": "tasks", "sink": "rows of both", "learning": "classifiers",
    "sessions": "sessions and turns", "backfills": "tasks", "judgements": "calls of an LLM",
    "webhooks": "deliveries",
}  # fmt: skip


def health_routes(services: Services) -> list[Route]:
    """Return the routes of the health."""
    pages = HealthPages(services)
    return [Route(_PATH, paged(pages.page)), Route(f"{_PATH}.json", with_json_errors(pages.twin))]


class HealthPages:
    """The page and its twin. A key, which is one project's, sees no process: those serve every project."""

    def __init__(self, services: Services) -> None:
        self._threads = services.threads
        self._access = Access(services)
        self._frames = SettingsFrames(services)
        self._health = Health(services.store, services.own_metrics, services.settings.metrics_urls)

    async def page(self, request: Request) -> Response:
        visitor = await self._access.of_page(request)
        shown = {"fact_kinds": {fact.name: fact.kind for fact in FACTS}, "stage_units": _UNITS}
        content = await self._content(request, visitor) | shown
        return await self._frames.shown(request, visitor, "health", "health/health.html", content)

    async def twin(self, request: Request) -> Response:
        visitor = await self._access.of_page(request)
        return json_response(await self._content(request, visitor))

    async def _content(self, request: Request, visitor: Visitor) -> dict[str, Any]:
        project_id = await self._frames.project_id(request, visitor)
        projects = readable_projects(visitor, project_id)
        found = await self._threads.run(self._health.of_project, project_id, projects)
        processes = await self._threads.run(self._health.processes) if visitor.project_id is None else []
        letters = [with_times(row) for row in found["dead_letters"]]
        return found | {"dead_letters": letters, "processes": processes}
