"""The API of definitions, /api/v1/definitions, of their versions, and of what labels taught them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from phospho_dashboard.definitions.trials import PREVIEW_TASKS, DefinitionTrials
from phospho_dashboard.detection import (
    Detection,
    check_name,
    checked_definition,
    current_definition,
    versions_of,
)
from phospho_dashboard.services import ROWS, ApiEndpoints, Services
from phospho_schemas import messages
from phospho_schemas.definitions.validation import DEFINITION_FIELDS, by_look, crowded_out
from phospho_schemas.messages import EventDefinition
from phospho_store.registry.definition_sets import DefinitionRepository
from phospho_store.registry.registry import too_many_definitions
from phospho_web.endpoints import api_endpoint
from phospho_web.openapi import ANY_OBJECT, NUMBER, TEXT, Error, list_of, nullable, object_schema, part_of
from phospho_web.problems import Problem, problem_of
from phospho_web.responses import json_response

_MAX_DEFINITIONS = 1000

# A definition that may be stored, or the result of its rejection.
Outcome = EventDefinition | dict[str, Any]

# A definition in a request: the server adds project, version and time.
_Definition = part_of(messages.EventDefinition, "Definition", DEFINITION_FIELDS)
_RESULT = object_schema(
    ["name", "status"],
    name=nullable(TEXT),
    version=NUMBER,
    status={"enum": ["created", "changed", "unchanged", "rejected"]},
    warning=TEXT,
    error=Error,
)


class DefinitionsApi(ApiEndpoints):
    """The endpoints of definitions."""

    def __init__(self, services: Services, detection: Detection) -> None:
        super().__init__(services)
        self._detection = detection
        self._trials = DefinitionTrials(services.store)

    @api_endpoint("get", "/definitions", "List definitions", list_of("definitions", EventDefinition))
    async def definitions(self, request: Request) -> Response:
        project_id = await self._access.api_project(request)
        definitions = await self._threads.run(self._registry.definitions, project_id)
        return json_response({"definitions": [definition.model_dump(mode="json") for definition in definitions]})

    @api_endpoint(
        "post",
        "/definitions",
        "Create or change definitions",
        list_of("results", _RESULT),
        description="All that are not rejected are applied, and detection picks them up within seconds. 422 "
        "if all are rejected.",
        body=list_of("definitions", _Definition, least=1, most=1000),
        also={422: list_of("results", _RESULT)},
    )
    async def apply(self, request: Request) -> Response:
        project_id = await self._access.api_project(request, "editor")
        content = await self._body(request)
        items = content.get("definitions")
        if not isinstance(items, list) or not 0 < len(items) <= _MAX_DEFINITIONS:
            raise Problem(422, "invalid_field", f"'definitions' must be a list of 1 to {_MAX_DEFINITIONS} definitions")
        results = await self._threads.run(self._apply, project_id, items)
        is_all_rejected = all(result["status"] == "rejected" for result in results)
        return json_response({"results": results}, 422 if is_all_rejected else 200)

    @api_endpoint(
        "delete",
        "/definitions/{name:any_text}",
        "Delete a definition",
        None,
        description="Its events stay.",
        status=204,
    )
    async def delete(self, request: Request) -> Response:
        project_id = await self._access.api_project(request, "editor")
        name = request.path_params["name"]
        if not await self._threads.run(self._registry.delete_definition, project_id, name):
            raise Problem(404, "unknown_definition", f"there is no definition {name!r}")
        return Response(status_code=204)

    @api_endpoint(
        "post",
        "/definitions/delete",
        "Delete definitions",
        None,
        description="All are deleted, or none. Their events stay.",
        status=204,
        body=list_of("names", TEXT, least=1, most=1000),
    )
    async def delete_many(self, request: Request) -> Response:
        """Delete the definitions named in the body, all or none. A path can't hold every name."""
        project_id = await self._access.api_project(request, "editor")
        names = (await self._body(request)).get("names")
        if not isinstance(names, list) or not _are_names(names):
            raise Problem(422, "invalid_field", f"'names' must be a list of 1 to {_MAX_DEFINITIONS} names")
        unknown = await self._threads.run(self._registry.delete_definitions, project_id, names)
        if unknown:
            hint = "none of the names was deleted"
            raise Problem(404, "unknown_definition", f"there is no definition {unknown[0]!r}", hint)
        return Response(status_code=204)

    @api_endpoint(
        "post",
        "/definitions/preview",
        "Preview a definition",
        object_schema(
            ["tasks", "warning", "found_now", "found_before", "found", "lost"],
            tasks=NUMBER,
            warning=nullable(TEXT),
            found_now=NUMBER,
            found_before=NUMBER,
            found=ROWS,
            lost=ROWS,
        ),
        description=f"On the last {PREVIEW_TASKS} tasks. Nothing is stored.",
        body=object_schema(["definition"], definition=_Definition),
    )
    async def preview(self, request: Request) -> Response:
        """Answer with the events of a definition in recent tasks; nothing is stored."""
        project_id = await self._access.api_project(request, "editor")
        content = await self._body(request)
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
            self._result(next(saved), current_versions) if isinstance(outcome, EventDefinition) else outcome
            for outcome in checked
        ]

    def _result(self, saved: EventDefinition, current_versions: Mapping[str, int]) -> dict[str, Any]:
        status = _status(current_versions.get(saved.name), saved.version)
        warning = self._detection.warning(saved)
        result = {"name": saved.name, "version": saved.version, "status": status}
        return result if warning is None else result | {"warning": warning}

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


def _status(current_version: int | None, version: int) -> str:
    if current_version is None:
        return "created"
    return "unchanged" if current_version == version else "changed"


_DEFAULT_DIFF_TASKS = 2_000
_MAX_DIFF_TASKS = 20_000
_TASKS_TO_LABEL = 20


class VersionsApi(ApiEndpoints):
    """The endpoints of versions."""

    def __init__(self, services: Services, detection: Detection) -> None:
        super().__init__(services)
        self._classifiers = DefinitionRepository(services.store, services.clock)
        self._detection = detection

    @api_endpoint(
        "get",
        "/definitions/{name:any_text}/history",
        "The versions of a definition, the latest first",
        list_of("versions", EventDefinition),
    )
    async def history(self, request: Request) -> Response:
        project_id = await self._access.api_project(request)
        versions = await self._threads.run(versions_of, self._registry, project_id, request.path_params["name"])
        return json_response({"versions": [version.model_dump(mode="json") for version in versions]})

    @api_endpoint(
        "post",
        "/definitions/{name:any_text}/diff",
        "Compare two versions",
        object_schema(["name", "from_version", "to_version"], name=TEXT, to_version=NUMBER),
        description="On the latest tasks: the definition in the body against the stored one, or the stored "
        "one against the version before it.",
        body=object_schema([], definition=ANY_OBJECT, tasks=NUMBER | {"minimum": 1, "maximum": 20_000}),
    )
    async def diff(self, request: Request) -> Response:
        """Compare the definition in the body with the stored one, or the stored one with the version before it."""
        project_id = await self._access.api_project(request, "editor")
        name = request.path_params["name"]
        content = await self._body(request)
        tasks = content.get("tasks", _DEFAULT_DIFF_TASKS)
        if not isinstance(tasks, int) or isinstance(tasks, bool) or not 0 < tasks <= _MAX_DIFF_TASKS:
            raise Problem(422, "invalid_field", f"'tasks' must be a number from 1 to {_MAX_DIFF_TASKS}")
        old, new = await self._threads.run(self._compared, project_id, name, content.get("definition"))
        diff = await self._slow_threads.run(project_id, partial(self._detection.diff, old, new, tasks))
        versions = {"from_version": old.version if old else None, "to_version": new.version}
        return json_response({"name": name, **versions, **diff})

    @api_endpoint(
        "get",
        "/definitions/{name:any_text}/learning",
        "Classifier of a definition",
        object_schema(
            ["name", "version", "classifier_version", "quality", "tasks_to_label"],
            name=TEXT,
            version=NUMBER,
            classifier_version=nullable(NUMBER),
            quality=nullable(ANY_OBJECT),
            tasks_to_label={"type": "array", "items": TEXT},
        ),
        description="Its quality by people's labels, the threshold that they suggest, and the tasks to label next.",
    )
    async def learning(self, request: Request) -> Response:
        """Answer with the classifier that labels taught, its quality, and the tasks to label next."""
        project_id, name = await self._access.api_project(request), request.path_params["name"]
        definition = await self._threads.run(current_definition, self._registry, project_id, name)
        classifier = await self._threads.run(self._classifiers.classifier, project_id, definition.name)
        task_ids = await self._slow_threads.run(
            project_id, partial(self._detection.label_queue, project_id, definition.name, _TASKS_TO_LABEL)
        )
        return json_response(
            {
                "name": definition.name,
                "version": definition.version,
                "classifier_version": classifier.version if classifier else None,
                "quality": orjson.loads(classifier.quality) if classifier else None,
                "tasks_to_label": task_ids,
            }
        )

    def _compared(self, project_id: str, name: str, item: Any) -> tuple[EventDefinition | None, EventDefinition]:
        """Return the two versions to compare; the first is None where there is no version before the second."""
        versions = self._registry.definition_versions(project_id, name)
        defined = [version for version in versions if not version.is_deleted]
        if item is None:
            latest = current_definition(self._registry, project_id, name)
            return next(iter(defined[1:]), None), latest
        named = item | {"name": name} if isinstance(item, dict) else item
        new = checked_definition(project_id, named, self._detection.check)
        version = defined[0].version + 1 if defined else 1
        return next(iter(defined), None), new.model_copy(update={"version": version})
