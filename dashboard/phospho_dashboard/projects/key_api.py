"""The API of a project's API keys, /api/v1/keys."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from phospho_dashboard.services import Services
from phospho_dashboard.web.routes import api_route
from phospho_schemas.messages import ApiKey
from phospho_web.bodies import read_object, text_field
from phospho_web.problems import Problem
from phospho_web.responses import json_response


def key_api_routes(services: Services) -> list[BaseRoute]:
    """Return the routes of API keys."""
    keys = KeysApi(services)
    return [
        api_route("GET", "/keys", keys.keys),
        api_route("POST", "/keys", keys.create),
        api_route("DELETE", "/keys/{key_id}", keys.revoke),
    ]


class KeysApi:
    """The endpoints of API keys. A secret is only in the answer that creates it."""

    def __init__(self, services: Services) -> None:
        self._registry = services.registry
        self._threads = services.threads
        self._access = services.access
        self._max_body_bytes = services.settings.max_body_bytes

    async def keys(self, request: Request) -> Response:
        project_id = await self._access.api_project(request)
        keys = await self._threads.run(self._registry.keys, project_id)
        return json_response({"keys": [public_key(key) for key in keys]})

    async def create(self, request: Request) -> Response:
        project_id = await self._access.api_project(request, "admin")
        name = text_field(await read_object(request, self._max_body_bytes), "name", "", max_length=128)
        new = await self._threads.run(self._registry.create_key, project_id, name)
        content = {"key_id": new.key.key_id, "api_key": new.secret, "project_id": project_id, "name": name}
        return json_response(content, 201)

    async def revoke(self, request: Request) -> Response:
        project_id = await self._access.api_project(request, "admin")
        key_id = request.path_params["key_id"]
        key = await self._threads.run(self._registry.revoke_key, project_id, key_id)
        if key is None:
            raise Problem(404, "unknown_key_id", f"there is no key {key_id!r} in this project")
        return json_response(public_key(key))


def public_key(key: ApiKey) -> dict[str, Any]:
    """Return the public fields of a key."""
    return key.model_dump(mode="json", include={"key_id", "project_id", "prefix", "name", "created_at", "revoked_at"})
