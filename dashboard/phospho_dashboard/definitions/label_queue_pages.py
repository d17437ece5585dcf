"""The page of the label queue: the tasks of one definition to label next."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.routing import BaseRoute

from phospho_dashboard.analytics.tasks import Tasks
from phospho_dashboard.auth.visitors import Visitor
from phospho_dashboard.definitions.detection import Detection
from phospho_dashboard.definitions.trials import DefinitionTrials
from phospho_dashboard.endpoints import Endpoints
from phospho_dashboard.layout.pages import ProjectPage
from phospho_dashboard.services import Services
from phospho_dashboard.web.routes import page_and_twin
from phospho_schemas.definitions import needs_session
from phospho_web.problems import Problem

_PATH = "/definitions/queue"
QUEUED_TASKS = 20


class LabelQueuePages(Endpoints):
    """The page and its twin. Labels are sent to the forms of `annotations/pages.py`."""

    def __init__(self, services: Services, detection: Detection) -> None:
        super().__init__(services)
        self._detection = detection
        self._trials = DefinitionTrials(services.store)
        self._tasks = Tasks(services.store)
        self._page = ProjectPage(services, "events", "definitions/label_queue.html")

    def routes(self) -> list[BaseRoute]:
        """Return the routes of the page and its twin."""
        return page_and_twin(_PATH, self.read, self._page.render)

    async def read(self, request: Request) -> tuple[Visitor, dict[str, Any]]:
        visitor, project_id = await self._access.page_visitor_and_project(request)
        name = request.query_params.get("name", "")
        return visitor, await self._threads.run(self._queue, project_id, name)

    def _queue(self, project_id: str, name: str) -> dict[str, Any]:
        versions = self._registry.definition_versions(project_id, name)
        has_queue = not versions or not needs_session(versions[0])
        # Events may be labelled after their definition is deleted.
        if not versions and not self._trials.count_tasks(project_id, name):
            raise Problem(404, "unknown_event", f"there is no event {name!r} in this project")
        task_ids = self._task_ids(project_id, name) if has_queue else []
        tasks = self._tasks.previews(project_id, task_ids)
        return {"project_id": project_id, "name": name, "has_queue": has_queue, "tasks": tasks}

    def _task_ids(self, project_id: str, name: str) -> list[str]:
        # An engine that does not learn from labels has no queue: its least certain events come first.
        task_ids = self._detection.label_queue(project_id, name, QUEUED_TASKS)
        return task_ids or self._trials.least_certain(project_id, name, QUEUED_TASKS)
