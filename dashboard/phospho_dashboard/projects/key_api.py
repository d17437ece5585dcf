"""The API of a project's API keys, /api/v1/keys."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from phospho_dashboard.endpoints import ApiEndpoints, api_endpoint
from phospho_schemas.messages import ApiKey
from phospho_web.bodies import text_field
from phospho_web.openapi import TEXT, list_of, object_schema, part_of
from phospho_web.problems import Problem
from phospho_web.responses import json_response

_PUBLIC_FIELDS = ("key_id", "project_id", "prefix", "name", "created_at", "revoked_at")
# A key without its hash.
_Key = part_of(ApiKey, "ApiKey", _PUBLIC_FIELDS, required=_PUBLIC_FIELDS)


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
        object_schema(["key_id", "api_key"], key_id=TEXT, api_key=TEXT, project_id=TEXT, name=TEXT),
        description="It is shown in this answer and never again.",
        status=201,
        body=object_schema([], name=TEXT | {"maxLength": 128}),
    )
    async def create(self, request: Request) -> Response:
        project_id = await self._access.api_project(request, "admin")
        name = text_field(await self._body(request), "name", "", max_length=128)
        new = await self._threads.run(self._registry.create_key, project_id, name)
        content = {"key_id": new.key.key_id, "api_key": new.secret, "project_id": project_id, "name": name}
        return json_response(content, 201)

    @api_endpoint("delete", "/keys/{key_id}", "Revoke a key", _Key, description="It stops working within seconds.")
    async def revoke(self, request: Request) -> Response:
        project_id = await self._access.api_project(request, "admin")
        key_id = request.path_params["key_id"]
        key = await self._threads.run(self._registry.revoke_key, project_id, key_id)
        if key is None:
            raise Problem(404, "unknown_key_id", f"there is no key {key_id!r} in this project")
        return json_response(public_key(key))


def public_key(key: ApiKey) -> dict[str, Any]:
    """Return the public fields of a key."""
    return key.model_dump(mode="json", include=set(_PUBLIC_FIELDS))
