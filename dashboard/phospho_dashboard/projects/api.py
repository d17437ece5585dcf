"""The API of projects, /api/v1/projects, and of their API keys, /api/v1/keys."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from phospho_dashboard.projects.projects import (
    PUBLIC_KEY_FIELDS,
    changed_project,
    created_key,
    created_project,
    public_key,
)
from phospho_dashboard.services import ApiEndpoints
from phospho_schemas.messages import KEY_SCOPES, ApiKey, Project, ProjectSettings
from phospho_web.endpoints import api_endpoint
from phospho_web.openapi import NUMBER, TEXT, Schema, list_of, object_schema, part_of
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
            raise Problem(
                403, "admin_only", "only admins of all projects can create projects", "use the administrator's token"
            )
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
        project_id = await self._access.project_id(request, visitor, request.path_params["project_id"])
        content = await self._body(request)
        project = await self._threads.run(changed_project, self._registry, project_id, content)
        return json_response({"project": project.model_dump(mode="json")})


_GRACE_HOURS, _MAX_GRACE_HOURS = 24, 24 * 90
# A key without its hash.
_SCOPES = {"type": "array", "items": {"enum": list(KEY_SCOPES)}, "minItems": 1}
_EXPIRES_AT = {"type": ["string", "null"], "format": "date-time"}
_Key = part_of(ApiKey, "ApiKey", PUBLIC_KEY_FIELDS, required=PUBLIC_KEY_FIELDS)


class KeysApi(ApiEndpoints):
    """The endpoints of API keys. A secret is only in the answer that creates it."""

    @api_endpoint("get", "/keys", "List keys, without their secrets", list_of("keys", _Key))
    async def keys(self, request: Request) -> Response:
        project_id = await self._access.api_project(request)
        keys = await self._threads.run(self._registry.keys, project_id)
        return json_response({"keys": [public_key(key) for key in keys]})

    @api_endpoint(
        "post",
        "/keys",
        "Create a key",
        object_schema(
            ["key_id", "api_key"],
            key_id=TEXT,
            api_key=TEXT,
            project_id=TEXT,
            name=TEXT,
            scopes=_SCOPES,
            expires_at=_EXPIRES_AT,
        ),
        description="It is shown in this answer and never again. `ingest` logs, `read` reads, `admin` does everything "
        "in the project, and is the default.",
        status=201,
        body=object_schema([], name=TEXT | {"maxLength": 128}, scopes=_SCOPES, expires_at=_EXPIRES_AT),
    )
    async def create(self, request: Request) -> Response:
        project_id = await self._access.api_project(request, "admin")
        new = await self._threads.run(created_key, self._registry, project_id, await self._body(request))
        shown = ("key_id", "project_id", "name", "scopes", "expires_at")
        return json_response(new.key.model_dump(mode="json", include=set(shown)) | {"api_key": new.secret}, 201)

    @api_endpoint(
        "post",
        "/keys/{key_id}/rotate",
        "Replace a key by a new one",
        object_schema(["key_id", "api_key"], key_id=TEXT, api_key=TEXT, project_id=TEXT, name=TEXT, scopes=_SCOPES),
        description="The new key is shown in this answer and never again. The old one works for `grace_hours` more.",
        status=201,
        body=object_schema([], grace_hours=NUMBER),
    )
    async def rotate(self, request: Request) -> Response:
        project_id = await self._access.api_project(request, "admin")
        grace, key_id = _grace(await self._body(request)), request.path_params["key_id"]
        new = await self._threads.run(self._registry.rotate_key, project_id, key_id, grace)
        if new is None:
            raise Problem(404, "unknown_key_id", f"there is no key {key_id!r} that works in this project")
        shown = ("key_id", "project_id", "name", "scopes")
        return json_response(new.key.model_dump(mode="json", include=set(shown)) | {"api_key": new.secret}, 201)

    @api_endpoint("delete", "/keys/{key_id}", "Revoke a key", _Key, description="It stops working within seconds.")
    async def revoke(self, request: Request) -> Response:
        project_id = await self._access.api_project(request, "admin")
        key_id = request.path_params["key_id"]
        key = await self._threads.run(self._registry.revoke_key, project_id, key_id)
        if key is None:
            raise Problem(404, "unknown_key_id", f"there is no key {key_id!r} in this project")
        return json_response(public_key(key))


def _grace(content: dict[str, Any]) -> timedelta:
    """Return for how long a rotated key still works. Raises Problem (422)."""
    hours = content.get("grace_hours", _GRACE_HOURS)
    if isinstance(hours, bool) or not isinstance(hours, int | float) or not 0 <= hours <= _MAX_GRACE_HOURS:
        raise Problem(422, "invalid_field", f"grace_hours must be a number from 0 to {_MAX_GRACE_HOURS}")
    return timedelta(hours=hours)
