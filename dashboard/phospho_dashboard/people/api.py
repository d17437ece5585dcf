"""The API of people, /api/v1/people, for the administrator's key and for admins."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from phospho_dashboard.auth.directory import public_person
from phospho_dashboard.auth.visitors import check_installation
from phospho_dashboard.services import ApiEndpoints, Services
from phospho_schemas.people import ROLES
from phospho_web.endpoints import api_endpoint
from phospho_web.openapi import TEXT, TIME, Json, list_of, object_schema
from phospho_web.requests import text_field
from phospho_web.responses import json_response

_ROLE: Json = {"enum": list(ROLES)}
_PERSON = object_schema(
    ["name", "role", "created_at", "has_password"],
    name=TEXT,
    role=_ROLE,
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
        body=object_schema(["name"], name=TEXT, role=_ROLE, password=TEXT),
    )
    async def add(self, request: Request) -> Response:
        await self._check(request)
        content = await self._body(request)
        name, role = text_field(content, "name"), text_field(content, "role", "viewer")
        password = text_field(content, "password", "")
        person = await self._services.password_threads.run(self._directory.add, name, role, password)
        return json_response({"person": public_person(person)}, 201)

    @api_endpoint(
        "patch",
        "/people/{name:any_text}",
        "Change a role or a password",
        _ONE_PERSON,
        description="A new password signs the person out everywhere.",
        body=object_schema([], role=_ROLE, password=TEXT),
    )
    async def change(self, request: Request) -> Response:
        await self._check(request)
        content = await self._body(request)
        role, password = text_field(content, "role", ""), text_field(content, "password", "")
        name = request.path_params["name"]
        person = await self._services.password_threads.run(self._directory.change, name, role, password)
        return json_response({"person": public_person(person)})

    @api_endpoint("delete", "/people/{name:any_text}", "Remove a person", None, status=204)
    async def remove(self, request: Request) -> Response:
        await self._check(request)
        await self._threads.run(self._directory.remove, request.path_params["name"])
        return Response(status_code=204)

    async def _check(self, request: Request) -> None:
        check_installation(await self._access.api_visitor(request, "admin"))
