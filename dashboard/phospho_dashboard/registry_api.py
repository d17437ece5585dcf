"""What people set: /api/v1/definitions, /api/v1/keys and /api/v1/projects."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from phospho_dashboard.access import Access
from phospho_dashboard.answers import json_object, json_response, text_field
from phospho_dashboard.definitions import checked_definition
from phospho_dashboard.projects import changed_project, created_project
from phospho_dashboard.services import Services
from phospho_schemas.errors import Problem
from phospho_schemas.messages import ApiKey

_MAX_DEFINITIONS = 1000


class RegistryApi:
    """The endpoints of definitions, keys and projects."""

    def __init__(self, services: Services) -> None:
        self._registry = services.registry
        self._check = services.check_definition
        self._threads = services.threads
        self._access = Access(services)
        self._max_body_bytes = services.settings.max_body_bytes

    async def definitions(self, request: Request) -> Response:
        project_id = await self._access.of_api_project(request)
        found = await self._threads.run(self._registry.definitions, project_id)
        return json_response({"definitions": [definition.model_dump(mode="json") for definition in found]})

    async def apply_definitions(self, request: Request) -> Response:
        project_id = await self._access.of_api_project(request, "editor")
        content = await json_object(request, self._max_body_bytes)
        wanted = content.get("definitions")
        if not isinstance(wanted, list) or not 0 < len(wanted) <= _MAX_DEFINITIONS:
            raise Problem(422, "invalid_field", f"'definitions' must be a list of 1 to {_MAX_DEFINITIONS} definitions")
        results = [await self._threads.run(self._applied, project_id, item) for item in wanted]
        is_all_rejected = all(result["status"] == "rejected" for result in results)
        return json_response({"results": results}, 422 if is_all_rejected else 200)

    async def delete_definition(self, request: Request) -> Response:
        project_id = await self._access.of_api_project(request, "editor")
        name = request.path_params["name"]
        if not await self._threads.run(self._registry.delete_definition, project_id, name):
            raise Problem(404, "unknown_definition", f"there is no definition {name!r}")
        return Response(status_code=204)

    async def keys(self, request: Request) -> Response:
        project_id = await self._access.of_api_project(request)
        found = await self._threads.run(self._registry.keys, project_id)
        return json_response({"keys": [public_key(key) for key in found]})

    async def create_key(self, request: Request) -> Response:
        project_id = await self._access.of_api_project(request, "admin")
        name = text_field(await json_object(request, self._max_body_bytes), "name", "", max_length=128)
        new = await self._threads.run(self._registry.create_key, project_id, name)
        shown = {"key_id": new.key.key_id, "api_key": new.secret, "project_id": project_id, "name": name}
        return json_response(shown, 201)

    async def revoke_key(self, request: Request) -> Response:
        project_id = await self._access.of_api_project(request, "admin")
        key_id = request.path_params["key_id"]
        revoked = await self._threads.run(self._registry.revoke_key, project_id, key_id)
        if revoked is None:
            raise Problem(404, "unknown_key_id", f"there is no key {key_id!r} in this project")
        return json_response(public_key(revoked))

    async def projects(self, request: Request) -> Response:
        found = await self._access.projects(await self._access.of_api(request))
        return json_response({"projects": [project.model_dump(mode="json") for project in found]})

    async def create_project(self, request: Request) -> Response:
        visitor = await self._access.of_api(request, "admin")
        if not visitor.is_admin:
            raise Problem(403, "admin_only", "a project's key can't create projects", "use the administrator's token")
        content = await json_object(request, self._max_body_bytes)
        saved = await self._threads.run(created_project, self._registry, content)
        return json_response({"project": saved.model_dump(mode="json")}, 201)

    async def change_project(self, request: Request) -> Response:
        """Change what the body names: name, retention, or some of the settings."""
        visitor = await self._access.of_api(request, "admin")
        project_id = await self._access.project_id(visitor, request.path_params["project_id"])
        content = await json_object(request, self._max_body_bytes)
        saved = await self._threads.run(changed_project, self._registry, project_id, content)
        return json_response({"project": saved.model_dump(mode="json")})

    def _applied(self, project_id: str, item: Any) -> dict[str, Any]:
        """Store one definition and return what became of it; one that can't work is rejected, and nothing raises."""
        name = item.get("name") if isinstance(item, dict) else None
        try:
            definition = checked_definition(project_id, item, self._check)
        except Problem as problem:
            return {"name": name if isinstance(name, str) else None, "status": "rejected", **problem.body()}
        known = {d.name: d.version for d in self._registry.definitions(project_id)}
        saved = self._registry.save_definition(definition)
        return {"name": saved.name, "version": saved.version, "status": _status(known.get(saved.name), saved.version)}


def _status(known_version: int | None, version: int) -> str:
    if known_version is None:
        return "created"
    return "unchanged" if known_version == version else "changed"


def public_key(key: ApiKey) -> dict[str, Any]:
    """Return what may be shown of a key."""
    return key.model_dump(mode="json", include={"key_id", "project_id", "prefix", "name", "created_at", "revoked_at"})
