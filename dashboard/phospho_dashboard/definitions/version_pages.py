"""The page that compares a version of a definition with the one before it, on the latest tasks."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.routing import BaseRoute

from phospho_dashboard.auth.visitors import Visitor
from phospho_dashboard.definitions.detection import Detection
from phospho_dashboard.definitions.versions import history, versions_of
from phospho_dashboard.endpoints import Endpoints
from phospho_dashboard.layout.pages import ProjectPage
from phospho_dashboard.services import Services
from phospho_dashboard.web.routes import page_and_twin
from phospho_schemas.messages import EventDefinition
from phospho_web.problems import Problem

_PATH = "/definitions/diff"
COMPARED_TASKS = 2_000


class VersionPages(Endpoints):
    """The page and its twin. It runs detection for a second or two, so only editors may read it."""

    def __init__(self, services: Services, detection: Detection) -> None:
        super().__init__(services)
        self._detection = detection
        self._page = ProjectPage(services, "events", "definitions/definition_diff.html")

    def routes(self) -> list[BaseRoute]:
        """Return the routes of the comparison. Name and version are parameters: a name may be any text."""
        return page_and_twin(_PATH, self.read, self._page.render)

    async def read(self, request: Request) -> tuple[Visitor, dict[str, Any]]:
        visitor, project_id = await self._access.page_visitor_and_project(request, "editor")
        name, version = request.query_params.get("name", ""), request.query_params.get("version", "")
        versions = _compared(await self._threads.run(versions_of, self._registry, project_id, name), version)
        new = versions[0]
        old = versions[1] if len(versions) > 1 and not versions[1].is_deleted else None
        diff = await self._slow_threads.run(self._detection.diff, old, new, COMPARED_TASKS)
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
    raise Problem(404, "unknown_version", f"it has no version {version!r}")
