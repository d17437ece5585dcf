"""The API of projects, /api/v1/projects."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from phospho_dashboard.projects.projects import changed_project, created_project
from phospho_dashboard.services import Services
from phospho_dashboard.web.routes import api_route
from phospho_web.bodies import read_object
from phospho_web.problems import Problem
from phospho_web.responses import json_response


def project_api_routes(services: Services) -> list[BaseRoute]:
    """Return the routes of projects."""
    projects = ProjectsApi(services)
    return [
        api_route("GET", "/projects", projects.projects),
        api_route("POST", "/projects", projects.create),
        api_route("PATCH", "/projects/{project_id}", projects.change),
    ]


class ProjectsApi:
    """The endpoints of projects."""

    def __init__(self, services: Services) -> None:
        self._registry = services.registry
        self._threads = services.threads
        self._access = services.access
        self._max_body_bytes = services.settings.max_body_bytes

    async def projects(self, request: Request) -> Response:
        projects = await self._access.projects(await self._access.api_visitor(request))
        return json_response({"projects": [project.model_dump(mode="json") for project in projects]})

    async def create(self, request: Request) -> Response:
        visitor = await self._access.api_visitor(request, "admin")
        if not visitor.is_admin:
            raise Problem(403, "admin_only", "a project's key can't create projects", "use the administrator's token")
        content = await read_object(request, self._max_body_bytes)
        project = await self._threads.run(created_project, self._registry, content)
        return json_response({"project": project.model_dump(mode="json")}, 201)

    async def change(self, request: Request) -> Response:
        """Change the fields in the body: the name, the retention, or some of the settings."""
        visitor = await self._access.api_visitor(request, "admin")
        project_id = await self._access.project_id(visitor, request.path_params["project_id"])
        content = await read_object(request, self._max_body_bytes)
        project = await self._threads.run(changed_project, self._registry, project_id, content)
        return json_response({"project": project.model_dump(mode="json")})
