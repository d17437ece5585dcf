"""The page of what to label next, of one definition."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from phospho_dashboard.analytics.tasks import Tasks
from phospho_dashboard.auth.access import Access
from phospho_dashboard.auth.visitors import Visitor
from phospho_dashboard.definitions.definitions import DefinitionTrials
from phospho_dashboard.layout.frames import frame_of
from phospho_dashboard.services import Services
from phospho_dashboard.web.rendering import page_response, paged, path_of
from phospho_schemas.definitions import needs_session
from phospho_web.problems import Problem
from phospho_web.responses import json_response, with_json_errors

_PATH = "/definitions/queue"
QUEUED_TASKS = 20


def label_queue_routes(services: Services) -> list[Route]:
    """Return the routes of the page and its twin."""
    pages = LabelQueuePages(services)
    return [Route(_PATH, paged(pages.page)), Route(f"{_PATH}.json", with_json_errors(pages.twin))]


class LabelQueuePages:
    """The page and its twin; what is said of a task goes to the forms of `acting_pages.py`."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._access = Access(services)
        self._trials = DefinitionTrials(services.store)
        self._tasks = Tasks(services.store)

    async def page(self, request: Request) -> Response:
        visitor, content = await self._read(request)
        projects = await self._access.projects(visitor)
        base_url = self._services.settings.base_url
        around = {
            "frame": frame_of("events", visitor, content["project_id"], projects, base_url, {}),
            "here": path_of(request),
        }
        return page_response("definitions/label_queue.html", around | content)

    async def twin(self, request: Request) -> Response:
        return json_response((await self._read(request))[1])

    async def _read(self, request: Request) -> tuple[Visitor, dict[str, Any]]:
        visitor = await self._access.of_page(request)
        project_id = await self._access.project_id(visitor, request.query_params.get("project") or None)
        name = request.query_params.get("name", "")
        return visitor, await self._services.threads.run(self._queue, project_id, name)

    def _queue(self, project_id: str, name: str) -> dict[str, Any]:
        versions = self._services.registry.definition_versions(project_id, name)
        has_queue = not versions or not needs_session(versions[0])
        # What was found may be judged after its definition has gone.
        if not versions and not self._trials.found_in(project_id, name):
            raise Problem(404, "unknown_event", f"there is no event {name!r} in this project")
        queue = self._next(project_id, name) if has_queue else []
        told = {"project_id": project_id, "name": name, "has_queue": has_queue}
        return told | {"tasks": self._tasks.previews(project_id, queue)}

    def _next(self, project_id: str, name: str) -> list[str]:
        # Of an engine that no label teaches, those of which it was least sure.
        queue = self._services.tools.label_queue(project_id, name, QUEUED_TASKS)
        return queue or self._trials.nearest_the_border(project_id, name, QUEUED_TASKS)
