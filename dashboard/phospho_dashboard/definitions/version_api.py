"""The API of a definition's versions: their history, a diff of two, and what labels taught the current one."""

from __future__ import annotations

from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from phospho_dashboard.definitions.checks import checked_definition
from phospho_dashboard.definitions.detection import Detection
from phospho_dashboard.definitions.versions import current_definition, versions_of
from phospho_dashboard.services import Services
from phospho_dashboard.web.routes import api_route
from phospho_schemas.messages import EventDefinition
from phospho_store.registry.definition_sets import DefinitionRepository
from phospho_web.bodies import read_object
from phospho_web.problems import Problem
from phospho_web.responses import json_response

_DEFAULT_DIFF_TASKS = 2_000
_MAX_DIFF_TASKS = 20_000
_TASKS_TO_LABEL = 20


def version_api_routes(services: Services, detection: Detection) -> list[BaseRoute]:
    """Return the routes of versions."""
    versions = VersionsApi(services, detection)
    return [
        api_route("GET", "/definitions/{name:any_text}/history", versions.history),
        api_route("POST", "/definitions/{name:any_text}/diff", versions.diff),
        api_route("GET", "/definitions/{name:any_text}/learning", versions.learning),
    ]


class VersionsApi:
    """The endpoints of versions."""

    def __init__(self, services: Services, detection: Detection) -> None:
        self._registry = services.registry
        self._classifiers = DefinitionRepository(services.store, services.clock)
        self._detection = detection
        self._threads = services.threads
        # Detection on thousands of tasks takes seconds, which must not hold up the pages.
        self._slow_threads = services.slow_threads
        self._access = services.access
        self._max_body_bytes = services.settings.max_body_bytes

    async def history(self, request: Request) -> Response:
        project_id = await self._access.api_project(request)
        versions = await self._threads.run(versions_of, self._registry, project_id, request.path_params["name"])
        return json_response({"versions": [version.model_dump(mode="json") for version in versions]})

    async def diff(self, request: Request) -> Response:
        """Compare the definition in the body with the stored one, or the stored one with the version before it."""
        project_id = await self._access.api_project(request, "editor")
        name = request.path_params["name"]
        content = await read_object(request, self._max_body_bytes)
        tasks = content.get("tasks", _DEFAULT_DIFF_TASKS)
        if not isinstance(tasks, int) or isinstance(tasks, bool) or not 0 < tasks <= _MAX_DIFF_TASKS:
            raise Problem(422, "invalid_field", f"'tasks' must be a number from 1 to {_MAX_DIFF_TASKS}")
        old, new = await self._threads.run(self._compared, project_id, name, content.get("definition"))
        diff = await self._slow_threads.run(self._detection.diff, old, new, tasks)
        versions = {"from_version": old.version if old else None, "to_version": new.version}
        return json_response({"name": name, **versions, **diff})

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
