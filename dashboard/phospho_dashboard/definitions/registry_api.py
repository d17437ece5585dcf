"""What people set: /api/v1/definitions, /api/v1/keys and /api/v1/projects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from phospho_dashboard.auth.access import Access
from phospho_dashboard.definitions.definitions import check_name, checked_definition
from phospho_dashboard.projects.projects import changed_project, created_project
from phospho_dashboard.services import Services
from phospho_schemas.definitions import by_look, crowded_out, no_room
from phospho_schemas.messages import ApiKey, EventDefinition
from phospho_web.bodies import read_object, text_field
from phospho_web.problems import Problem
from phospho_web.responses import json_response

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
        content = await read_object(request, self._max_body_bytes)
        wanted = content.get("definitions")
        if not isinstance(wanted, list) or not 0 < len(wanted) <= _MAX_DEFINITIONS:
            raise Problem(422, "invalid_field", f"'definitions' must be a list of 1 to {_MAX_DEFINITIONS} definitions")
        results = await self._threads.run(self._applied, project_id, wanted)
        is_all_rejected = all(result["status"] == "rejected" for result in results)
        return json_response({"results": results}, 422 if is_all_rejected else 200)

    async def delete_definition(self, request: Request) -> Response:
        project_id = await self._access.of_api_project(request, "editor")
        name = request.path_params["name"]
        if not await self._threads.run(self._registry.delete_definition, project_id, name):
            raise Problem(404, "unknown_definition", f"there is no definition {name!r}")
        return Response(status_code=204)

    async def delete_definitions(self, request: Request) -> Response:
        """Delete those that the body names, all or none. A name may be any text, which a path can't hold."""
        project_id = await self._access.of_api_project(request, "editor")
        names = (await read_object(request, self._max_body_bytes)).get("names")
        if not isinstance(names, list) or not _are_names(names):
            raise Problem(422, "invalid_field", f"'names' must be a list of 1 to {_MAX_DEFINITIONS} names")
        unknown = await self._threads.run(self._registry.delete_definitions, project_id, names)
        if unknown:
            hint = "none of the names was deleted"
            raise Problem(404, "unknown_definition", f"there is no definition {unknown[0]!r}", hint)
        return Response(status_code=204)

    async def keys(self, request: Request) -> Response:
        project_id = await self._access.of_api_project(request)
        found = await self._threads.run(self._registry.keys, project_id)
        return json_response({"keys": [public_key(key) for key in found]})

    async def create_key(self, request: Request) -> Response:
        project_id = await self._access.of_api_project(request, "admin")
        name = text_field(await read_object(request, self._max_body_bytes), "name", "", max_length=128)
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
        content = await read_object(request, self._max_body_bytes)
        saved = await self._threads.run(created_project, self._registry, content)
        return json_response({"project": saved.model_dump(mode="json")}, 201)

    async def change_project(self, request: Request) -> Response:
        """Change what the body names: name, retention, or some of the settings."""
        visitor = await self._access.of_api(request, "admin")
        project_id = await self._access.project_id(visitor, request.path_params["project_id"])
        content = await read_object(request, self._max_body_bytes)
        saved = await self._threads.run(changed_project, self._registry, project_id, content)
        return json_response({"project": saved.model_dump(mode="json")})

    def _applied(self, project_id: str, items: list[Any]) -> list[dict[str, Any]]:
        """Store definitions and return what became of each; one that can't work is rejected, and harms no other."""
        current = self._registry.definitions(project_id)
        known = {one.name: one.version for one in current}
        times = Counter(_name(item) for item in items)
        names = by_look({*known, *filter(None, times)})
        checked = _with_room(current, [self._checked(project_id, item, times, names) for item in items])
        wanted = [one for one in checked if isinstance(one, EventDefinition)]
        saved = iter(self._registry.save_definitions(project_id, wanted))
        return [_result(next(saved), known) if isinstance(one, EventDefinition) else one for one in checked]

    def _checked(
        self, project_id: str, item: Any, times: Counter[str | None], names: Mapping[str, set[str]]
    ) -> EventDefinition | dict[str, Any]:
        """Return the definition that an item describes, or the result that says why it is rejected."""
        name = _name(item)
        try:
            definition = checked_definition(project_id, item, self._check)
            if times[name] > 1:
                raise Problem(422, "repeated_name", f"the name {name!r} is given {times[name]} times", "give it once")
            check_name(definition.name, names)
        except Problem as problem:
            return _rejected(name, problem)
        return definition


def _with_room(
    current: Sequence[EventDefinition], checked: Sequence[EventDefinition | dict[str, Any]]
) -> list[EventDefinition | dict[str, Any]]:
    """Return `checked` with a rejection in place of each definition that the project has no room for."""
    stored = {definition.name: definition.engine for definition in current}
    crowded = set(crowded_out(stored, [one for one in checked if isinstance(one, EventDefinition)]))
    return [
        _rejected(one.name, no_room(one.engine)) if isinstance(one, EventDefinition) and one.name in crowded else one
        for one in checked
    ]


def _rejected(name: str | None, problem: Problem) -> dict[str, Any]:
    return {"name": name, "status": "rejected", **problem.body()}


def _name(item: Any) -> str | None:
    name = item.get("name") if isinstance(item, dict) else None
    return name if isinstance(name, str) else None


def _are_names(names: list[Any]) -> bool:
    return 0 < len(names) <= _MAX_DEFINITIONS and all(isinstance(name, str) for name in names)


def _result(saved: EventDefinition, known: Mapping[str, int]) -> dict[str, Any]:
    status = _status(known.get(saved.name), saved.version)
    return {"name": saved.name, "version": saved.version, "status": status}


def _status(known_version: int | None, version: int) -> str:
    if known_version is None:
        return "created"
    return "unchanged" if known_version == version else "changed"


def public_key(key: ApiKey) -> dict[str, Any]:
    """Return what may be shown of a key."""
    return key.model_dump(mode="json", include={"key_id", "project_id", "prefix", "name", "created_at", "revoked_at"})
