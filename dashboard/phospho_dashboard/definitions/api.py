"""The API of definitions, /api/v1/definitions: list, apply, preview and delete them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from phospho_dashboard.definitions.checks import check_name, checked_definition
from phospho_dashboard.definitions.detection import Detection
from phospho_dashboard.definitions.trials import DefinitionTrials
from phospho_dashboard.services import Services
from phospho_dashboard.web.routes import api_route
from phospho_schemas.definitions import by_look, crowded_out
from phospho_schemas.messages import EventDefinition
from phospho_store.registry.registry import too_many_definitions
from phospho_web.bodies import read_object
from phospho_web.problems import Problem, problem_of
from phospho_web.responses import json_response

_MAX_DEFINITIONS = 1000

# A definition that may be stored, or the result of its rejection.
Outcome = EventDefinition | dict[str, Any]


def definition_api_routes(services: Services, detection: Detection) -> list[BaseRoute]:
    """Return the routes of definitions."""
    definitions = DefinitionsApi(services, detection)
    return [
        api_route("GET", "/definitions", definitions.definitions),
        api_route("POST", "/definitions", definitions.apply),
        api_route("POST", "/definitions/preview", definitions.preview),
        api_route("POST", "/definitions/delete", definitions.delete_many),
        api_route("DELETE", "/definitions/{name:any_text}", definitions.delete),
    ]


class DefinitionsApi:
    """The endpoints of definitions."""

    def __init__(self, services: Services, detection: Detection) -> None:
        self._registry = services.registry
        self._detection = detection
        self._trials = DefinitionTrials(services.store)
        self._threads = services.threads
        self._access = services.access
        self._max_body_bytes = services.settings.max_body_bytes

    async def definitions(self, request: Request) -> Response:
        project_id = await self._access.api_project(request)
        definitions = await self._threads.run(self._registry.definitions, project_id)
        return json_response({"definitions": [definition.model_dump(mode="json") for definition in definitions]})

    async def apply(self, request: Request) -> Response:
        project_id = await self._access.api_project(request, "editor")
        content = await read_object(request, self._max_body_bytes)
        items = content.get("definitions")
        if not isinstance(items, list) or not 0 < len(items) <= _MAX_DEFINITIONS:
            raise Problem(422, "invalid_field", f"'definitions' must be a list of 1 to {_MAX_DEFINITIONS} definitions")
        results = await self._threads.run(self._apply, project_id, items)
        is_all_rejected = all(result["status"] == "rejected" for result in results)
        return json_response({"results": results}, 422 if is_all_rejected else 200)

    async def delete(self, request: Request) -> Response:
        project_id = await self._access.api_project(request, "editor")
        name = request.path_params["name"]
        if not await self._threads.run(self._registry.delete_definition, project_id, name):
            raise Problem(404, "unknown_definition", f"there is no definition {name!r}")
        return Response(status_code=204)

    async def delete_many(self, request: Request) -> Response:
        """Delete the definitions named in the body, all or none. A path can't hold every name."""
        project_id = await self._access.api_project(request, "editor")
        names = (await read_object(request, self._max_body_bytes)).get("names")
        if not isinstance(names, list) or not _are_names(names):
            raise Problem(422, "invalid_field", f"'names' must be a list of 1 to {_MAX_DEFINITIONS} names")
        unknown = await self._threads.run(self._registry.delete_definitions, project_id, names)
        if unknown:
            hint = "none of the names was deleted"
            raise Problem(404, "unknown_definition", f"there is no definition {unknown[0]!r}", hint)
        return Response(status_code=204)

    async def preview(self, request: Request) -> Response:
        """Answer with the events of a definition in recent tasks; nothing is stored."""
        project_id = await self._access.api_project(request, "editor")
        content = await read_object(request, self._max_body_bytes)
        definition = checked_definition(project_id, content.get("definition"), self._detection.check)
        return json_response(await self._threads.run(self._trials.preview, definition, self._detection))

    def _apply(self, project_id: str, items: list[Any]) -> list[dict[str, Any]]:
        """Store definitions and return a result for each; one that can't work is rejected, and harms no other."""
        current = self._registry.definitions(project_id)
        current_versions = {definition.name: definition.version for definition in current}
        name_counts = Counter(_name(item) for item in items)
        names_by_look = by_look({*current_versions, *filter(None, name_counts)})
        checked = [self._checked(project_id, item, name_counts, names_by_look) for item in items]
        checked = _with_room(current, checked)
        accepted = [outcome for outcome in checked if isinstance(outcome, EventDefinition)]
        saved = iter(self._registry.save_definitions(project_id, accepted))
        return [
            _result(next(saved), current_versions) if isinstance(outcome, EventDefinition) else outcome
            for outcome in checked
        ]

    def _checked(
        self, project_id: str, item: Any, name_counts: Counter[str | None], names_by_look: Mapping[str, set[str]]
    ) -> Outcome:
        """Return the definition that an item describes, or the result of a rejection."""
        name = _name(item)
        try:
            definition = checked_definition(project_id, item, self._detection.check)
            if name_counts[name] > 1:
                raise Problem(
                    422, "repeated_name", f"the name {name!r} is given {name_counts[name]} times", "give it once"
                )
            check_name(definition.name, names_by_look)
        except Problem as problem:
            return _rejected(name, problem)
        return definition


def _with_room(current: Sequence[EventDefinition], checked: Sequence[Outcome]) -> list[Outcome]:
    """Return `checked` with a rejection in place of each definition that the project has no room for."""
    stored = {definition.name: definition.engine for definition in current}
    accepted = [outcome for outcome in checked if isinstance(outcome, EventDefinition)]
    crowded = set(crowded_out(stored, accepted))
    return [
        _rejected(outcome.name, problem_of(too_many_definitions(outcome.engine)))
        if isinstance(outcome, EventDefinition) and outcome.name in crowded
        else outcome
        for outcome in checked
    ]


def _rejected(name: str | None, problem: Problem) -> dict[str, Any]:
    return {"name": name, "status": "rejected", **problem.body()}


def _name(item: Any) -> str | None:
    name = item.get("name") if isinstance(item, dict) else None
    return name if isinstance(name, str) else None


def _are_names(names: list[Any]) -> bool:
    return 0 < len(names) <= _MAX_DEFINITIONS and all(isinstance(name, str) for name in names)


def _result(saved: EventDefinition, current_versions: Mapping[str, int]) -> dict[str, Any]:
    status = _status(current_versions.get(saved.name), saved.version)
    return {"name": saved.name, "version": saved.version, "status": status}


def _status(current_version: int | None, version: int) -> str:
    if current_version is None:
        return "created"
    return "unchanged" if current_version == version else "changed"
