"""The API of projects, /api/v1/projects."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from phospho_dashboard.endpoints import ApiEndpoints, api_endpoint
from phospho_dashboard.projects.projects import changed_project, created_project
from phospho_schemas.messages import Project, ProjectSettings
from phospho_web.openapi import NUMBER, TEXT, Schema, list_of, object_schema
from phospho_web.problems import Problem
from phospho_web.responses import json_response

_PROJECT = object_schema(["project"], project=Project)
_CHANGES: dict[str, Schema] = {"name": TEXT, "retention_days": NUMBER, "settings": ProjectSettings}


class ProjectsApi(ApiEndpoints):
    """The endpoints of projects."""

    @api_endpoint("get", "/projects", "List projects", list_of("projects", Project))
    async def projects(self, request: Request) -> Response:
        projects = await self._access.projects(await self._access.api_visitor(request))
        return json_response({"projects": [project.model_dump(mode="json") for project in projects]})

    @api_endpoint(
        "post",
        "/projects",
        "Create a project",
        _PROJECT,
        description="Needs the administrator's key.",
        status=201,
        body=object_schema(["project_id"], project_id=TEXT, **_CHANGES),
    )
    async def create(self, request: Request) -> Response:
        visitor = await self._access.api_visitor(request, "admin")
        if not visitor.is_admin:
            raise Problem(403, "admin_only", "a project's key can't create projects", "use the administrator's token")
        content = await self._body(request)
        project = await self._threads.run(created_project, self._registry, content)
        return json_response({"project": project.model_dump(mode="json")}, 201)

    @api_endpoint(
        "patch",
        "/projects/{project_id}",
        "Change a project",
        _PROJECT,
        description="Fields and settings that are not named stay.",
        body=object_schema([], **_CHANGES),
    )
    async def change(self, request: Request) -> Response:
        """Change the fields in the body: the name, the retention, or some of the settings."""
        visitor = await self._access.api_visitor(request, "admin")
        project_id = await self._access.project_id(visitor, request.path_params["project_id"])
        content = await self._body(request)
        project = await self._threads.run(changed_project, self._registry, project_id, content)
        return json_response({"project": project.model_dump(mode="json")})
