"""The API of a definition's versions: their history, a diff of two, and what labels taught the current one."""

from __future__ import annotations

from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from phospho_dashboard.definitions.checks import Detection, checked_definition, current_definition, versions_of
from phospho_dashboard.services import ApiEndpoints, Services
from phospho_schemas.messages import EventDefinition
from phospho_store.registry.definition_sets import DefinitionRepository
from phospho_web.endpoints import api_endpoint
from phospho_web.openapi import ANY_OBJECT, NUMBER, TEXT, list_of, nullable, object_schema
from phospho_web.problems import Problem
from phospho_web.responses import json_response

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
        diff = await self._slow_threads.run(self._detection.diff, old, new, tasks)
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
            self._detection.label_queue, project_id, definition.name, _TASKS_TO_LABEL
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
