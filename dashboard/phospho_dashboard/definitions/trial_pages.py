"""The pages on which a definition is tried: two of its versions compared, and the tasks to label next."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.routing import BaseRoute

from phospho_dashboard.analytics.tasks import Tasks
from phospho_dashboard.auth.visitors import Visitor
from phospho_dashboard.definitions.review_queue import ReviewQueue, people_asked
from phospho_dashboard.definitions.trials import DefinitionTrials
from phospho_dashboard.detection import Detection, history, versions_of
from phospho_dashboard.layout.pages import ProjectPage
from phospho_dashboard.services import Endpoints, Services
from phospho_dashboard.web.routes import page_and_twin
from phospho_schemas.definitions.validation import needs_session
from phospho_schemas.messages import EventDefinition
from phospho_web.problems import Problem

_DIFF_PATH = "/definitions/diff"
COMPARED_TASKS = 2_000


class VersionPages(Endpoints):
    """The page and its twin. It runs detection for a second or two, so only editors may read it."""

    def __init__(self, services: Services, detection: Detection) -> None:
        super().__init__(services)
        self._detection = detection
        self._page = ProjectPage(services, "events", "definitions/definition_diff.html")

    def routes(self) -> list[BaseRoute]:
        """Return the routes of the comparison. Name and version are parameters: a name may be any text."""
        return page_and_twin(_DIFF_PATH, self.read, self._page.render, ("name", "version"))

    async def read(self, request: Request) -> tuple[Visitor, dict[str, Any]]:
        visitor, project_id = await self._access.page_visitor_and_project(request, "editor")
        name, version = request.query_params.get("name", ""), request.query_params.get("version", "")
        versions = _compared(await self._threads.run(versions_of, self._registry, project_id, name), version)
        new = versions[0]
        old = versions[1] if len(versions) > 1 and not versions[1].is_deleted else None
        diff = await self._slow_threads.run(project_id, partial(self._detection.diff, old, new, COMPARED_TASKS))
        content = {
            "project_id": project_id,
            "name": new.name,
            "to_version": new.version,
            "from_version": old.version if old else None,
            "changes": history(versions)[0]["changes"],
        }
        return visitor, content | diff


def _compared(versions: list[EventDefinition], version: str) -> list[EventDefinition]:
    """Return the named version, or the latest for an empty name, and the one before it; Problem 404."""
    for index, definition in enumerate(versions):
        if not definition.is_deleted and version in ("", str(definition.version)):
            return versions[index : index + 2]
    raise Problem(404, "unknown_version", f"there is no version {version!r}")


_QUEUE_PATH = "/definitions/queue"


class LabelQueuePages(Endpoints):
    """The page and its twin. Labels are sent to the forms of `annotations/pages.py`."""

    def __init__(self, services: Services, detection: Detection) -> None:
        super().__init__(services)
        self._detection = detection
        self._trials = DefinitionTrials(services.store)
        self._tasks = Tasks(services.store)
        self._queue = ReviewQueue(services)
        self._page = ProjectPage(services, "events", "definitions/label_queue.html")

    def routes(self) -> list[BaseRoute]:
        """Return the routes of the page and its twin."""
        return page_and_twin(_QUEUE_PATH, self.read, self._page.render, ("name", "people"))

    async def read(self, request: Request) -> tuple[Visitor, dict[str, Any]]:
        visitor, project_id = await self._access.page_visitor_and_project(request)
        name, people = request.query_params.get("name", ""), people_asked(request.query_params.get("people", ""))
        # A program or a viewer sees the queue, and takes nothing out of it.
        is_taking = visitor.may_in(project_id, "editor") and not request.url.path.endswith(".json")
        hand_out = self._queue.take if is_taking else self._queue.tasks
        queue = partial(hand_out, project_id, name, visitor.author, people=people)
        return visitor, await self._threads.run(self._content, project_id, name, queue) | {"people": people}

    def _content(self, project_id: str, name: str, hand_out: Callable[..., list[str]]) -> dict[str, Any]:
        versions = self._registry.definition_versions(project_id, name)
        has_queue = not versions or not needs_session(versions[0])
        # Events may be labelled after their definition is deleted.
        if not versions and not self._trials.count_tasks(project_id, name):
            raise Problem(404, "unknown_event", f"there is no event {name!r} in this project")
        task_ids = hand_out(candidates=partial(self._candidates, project_id, name)) if has_queue else []
        tasks = self._tasks.previews(project_id, task_ids)
        content = {"project_id": project_id, "name": name, "has_queue": has_queue, "tasks": tasks}
        return content | {"progress": self._queue.progress(project_id, name)}

    def _candidates(self, project_id: str, name: str, count: int) -> list[str]:
        # An engine that does not learn from labels has no queue: its least certain events come first.
        task_ids = self._detection.label_queue(project_id, name, count)
        return task_ids or self._trials.least_certain(project_id, name, count)
