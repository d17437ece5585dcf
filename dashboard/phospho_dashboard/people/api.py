"""The API of people, /api/v1/people, for the administrator's key and for admins."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from phospho_dashboard.auth.directory import public_person
from phospho_dashboard.auth.visitors import check_installation
from phospho_dashboard.services import Services
from phospho_dashboard.web.routes import api_route
from phospho_web.bodies import read_object, text_field
from phospho_web.responses import json_response


def people_api_routes(services: Services) -> list[BaseRoute]:
    """Return the routes of people."""
    people = PeopleApi(services)
    return [
        api_route("GET", "/people", people.people),
        api_route("POST", "/people", people.add),
        api_route("PATCH", "/people/{name:any_text}", people.change),
        api_route("DELETE", "/people/{name:any_text}", people.remove),
    ]


class PeopleApi:
    """The endpoints of people. Passwords come in, and nothing of them goes out."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._access = services.access
        self._directory = services.sign_ins.directory

    async def people(self, request: Request) -> Response:
        await self._check(request)
        return json_response({"people": await self._services.threads.run(self._directory.everybody)})

    async def add(self, request: Request) -> Response:
        await self._check(request)
        content = await read_object(request, self._services.settings.max_body_bytes)
        name, role = text_field(content, "name"), text_field(content, "role", "viewer")
        password = text_field(content, "password", "")
        person = await self._services.password_threads.run(self._directory.add, name, role, password)
        return json_response({"person": public_person(person)}, 201)

    async def change(self, request: Request) -> Response:
        await self._check(request)
        content = await read_object(request, self._services.settings.max_body_bytes)
        role, password = text_field(content, "role", ""), text_field(content, "password", "")
        name = request.path_params["name"]
        person = await self._services.password_threads.run(self._directory.change, name, role, password)
        return json_response({"person": public_person(person)})

    async def remove(self, request: Request) -> Response:
        await self._check(request)
        await self._services.threads.run(self._directory.remove, request.path_params["name"])
        return Response(status_code=204)

    async def _check(self, request: Request) -> None:
        check_installation(await self._access.api_visitor(request, "admin"))
