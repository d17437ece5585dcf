"""The API of people, /api/v1/people, for the administrator's key and for admins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from phospho_dashboard.auth.access import note_change
from phospho_dashboard.auth.directory import DEFAULT_ROLE, public_person
from phospho_dashboard.auth.visitors import Visitor, check_installation
from phospho_dashboard.services import ApiEndpoints, Services
from phospho_schemas.rows.people import GIVEN_ROLES
from phospho_web.endpoints import api_endpoint
from phospho_web.openapi import TEXT, TIME, Json, list_of, object_schema
from phospho_web.problems import invalid
from phospho_web.requests import text_field
from phospho_web.responses import json_response

_ROLE: Json = {"enum": list(GIVEN_ROLES)}
# By project; "default" gives back the role for all projects.
_NEW_PROJECT_ROLES: Json = {"type": "object", "additionalProperties": {"enum": [*GIVEN_ROLES, DEFAULT_ROLE]}}
_PERSON = object_schema(
    ["name", "role", "project_roles", "created_at", "has_password"],
    name=TEXT,
    role=_ROLE,
    project_roles={"type": "object", "additionalProperties": _ROLE},
    created_at=TIME,
    has_password={"type": "boolean"},
)
_ONE_PERSON = object_schema(["person"], person=_PERSON)


class PeopleApi(ApiEndpoints):
    """The endpoints of people. Passwords come in, and nothing of them goes out."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._directory = services.sign_ins.directory

    @api_endpoint(
        "get", "/people", "List people", list_of("people", _PERSON), description="Needs the administrator's key."
    )
    async def people(self, request: Request) -> Response:
        await self._check(request)
        return json_response({"people": await self._threads.run(self._directory.everybody)})

    @api_endpoint(
        "post",
        "/people",
        "Add a person",
        _ONE_PERSON,
        description="Needs the administrator's key. Leave the password out for people who come through a proxy.",
        status=201,
        body=object_schema(["name"], name=TEXT, role=_ROLE, project_roles=_NEW_PROJECT_ROLES, password=TEXT),
    )
    async def add(self, request: Request) -> Response:
        visitor = await self._check(request)
        content = await self._body(request)
        name, role = text_field(content, "name"), text_field(content, "role", "viewer")
        password, roles = text_field(content, "password", ""), await self._project_roles(visitor, content)
        person = await self._services.password_threads.run(self._directory.add, name, role, password, roles)
        note_change(request, person)
        return json_response({"person": public_person(person)}, 201)

    @api_endpoint(
        "patch",
        "/people/{name:any_text}",
        "Change roles or a password",
        _ONE_PERSON,
        description="Roles of projects that are not named stay. A new password signs the person out everywhere.",
        body=object_schema([], role=_ROLE, project_roles=_NEW_PROJECT_ROLES, password=TEXT),
    )
    async def change(self, request: Request) -> Response:
        visitor = await self._check(request)
        content = await self._body(request)
        role, password = text_field(content, "role", ""), text_field(content, "password", "")
        name, roles = request.path_params["name"], await self._project_roles(visitor, content)
        person = await self._services.password_threads.run(self._directory.change, name, role, password, roles)
        note_change(request, person)
        return json_response({"person": public_person(person)})

    @api_endpoint("delete", "/people/{name:any_text}", "Remove a person", None, status=204)
    async def remove(self, request: Request) -> Response:
        await self._check(request)
        await self._threads.run(self._directory.remove, request.path_params["name"])
        return Response(status_code=204)

    async def _check(self, request: Request) -> Visitor:
        visitor = await self._access.api_visitor(request, "admin")
        check_installation(visitor)
        return visitor

    async def _project_roles(self, visitor: Visitor, content: Mapping[str, Any]) -> dict[str, str]:
        """Return the roles in a body by project; Problem 404 for an unknown project, 422 for what is no such object."""
        roles = content.get("project_roles") or {}
        if not isinstance(roles, dict) or not all(isinstance(role, str) for role in roles.values()):
            raise invalid("invalid_project_roles", "project_roles must be an object of roles by project")
        for project_id in roles:
            await self._access.visible_project(visitor, project_id)
        return roles
