"""The page of all projects."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute

from phospho_dashboard.auth.visitors import Visitor
from phospho_dashboard.endpoints import Endpoints
from phospho_dashboard.layout.pages import SettingsPage
from phospho_dashboard.projects.projects import created_project
from phospho_dashboard.services import Services
from phospho_dashboard.web.routes import form_route, page_and_twin
from phospho_dashboard.web.urls import with_query
from phospho_web.problems import Problem

_PATH = "/settings/projects"


class ProjectPages(Endpoints):
    """The page, its twin and its form."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._page = SettingsPage(services, "projects", "projects/projects.html")

    def routes(self) -> list[BaseRoute]:
        """Return the routes of the list of projects."""
        return [
            *page_and_twin(_PATH, self.read, self.render),
            form_route(_PATH, self.create),
        ]

    async def read(self, request: Request) -> tuple[Visitor, dict[str, Any]]:
        visitor = await self._access.page_visitor(request)
        return visitor, await self._content(visitor)

    async def render(
        self, request: Request, visitor: Visitor, content: dict[str, Any], problem: Problem | None = None
    ) -> Response:
        return await self._page.render(request, visitor, content | {"may_add": visitor.is_admin}, problem=problem)

    async def create(self, request: Request) -> Response:
        visitor, form = await self._access.form_visitor(request, "admin")
        if not visitor.is_admin:
            raise Problem(403, "admin_only", "a project's key can't create projects")
        fields = {"project_id": form.text("project_id"), "name": form.text("name")}
        try:
            project = await self._threads.run(created_project, self._registry, fields)
        except Problem as problem:
            return await self.render(request, visitor, await self._content(visitor), problem)
        # The next step is a key for the new project.
        return RedirectResponse(with_query("/settings/keys", {"project": project.project_id}), 303)

    async def _content(self, visitor: Visitor) -> dict[str, Any]:
        return {"projects": [project.model_dump(mode="json") for project in await self._access.projects(visitor)]}
