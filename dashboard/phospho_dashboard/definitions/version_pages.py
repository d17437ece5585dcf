"""The page that compares a version of a definition with the one before it, on the latest tasks."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from phospho_dashboard.auth.access import Access
from phospho_dashboard.auth.visitors import Visitor
from phospho_dashboard.definitions.definitions import changes, versions_of
from phospho_dashboard.layout.frames import frame_of
from phospho_dashboard.services import Services
from phospho_dashboard.web.rendering import page_response, paged
from phospho_schemas.messages import EventDefinition
from phospho_web.problems import Problem
from phospho_web.responses import json_response, with_json_errors

_PATH = "/definitions/diff"
COMPARED_TASKS = 2_000


def version_routes(services: Services) -> list[Route]:
    """Return the routes of the comparison. Name and version are parameters: a name may be any text."""
    pages = VersionPages(services)
    return [Route(_PATH, paged(pages.page)), Route(f"{_PATH}.json", with_json_errors(pages.twin))]


class VersionPages:
    """The page and its twin. It runs detection for a second or two: for editors."""

    def __init__(self, services: Services) -> None:
        self._base_url = services.settings.base_url
        self._registry = services.registry
        self._threads = services.threads
        self._slow_threads = services.slow_threads
        self._diff = services.tools.diff
        self._access = Access(services)

    async def page(self, request: Request) -> Response:
        visitor, content = await self._asked(request)
        projects = await self._access.projects(visitor)
        frame = frame_of("events", visitor, content["project_id"], projects, self._base_url, {})
        return page_response("definitions/definition_diff.html", {"frame": frame} | content)

    async def twin(self, request: Request) -> Response:
        _, content = await self._asked(request)
        return json_response(content)

    async def _asked(self, request: Request) -> tuple[Visitor, dict[str, Any]]:
        visitor = await self._access.of_page(request, "editor")
        query = request.query_params
        project_id = await self._access.project_id(visitor, query.get("project") or None)
        versions = await self._threads.run(versions_of, self._registry, project_id, query.get("name", ""))
        compared = _compared(versions, query.get("version", ""))
        old = compared[1] if len(compared) > 1 and not compared[1].is_deleted else None
        told = await self._slow_threads.run(self._diff, old, compared[0], COMPARED_TASKS)
        known = {"project_id": project_id, "name": compared[0].name, "to_version": compared[0].version}
        changed = changes(compared)[0]["changes"]
        return visitor, known | {"from_version": old.version if old else None, "changes": changed} | told


def _compared(versions: list[EventDefinition], version: str) -> list[EventDefinition]:
    """Return the version that is meant, the latest where none is named, and the one before it."""
    defined = [one for one in versions if not one.is_deleted]
    place = next((place for place, one in enumerate(defined) if version in ("", str(one.version))), None)
    if place is None:
        raise Problem(404, "unknown_version", f"it has no version {version!r}")
    wanted = defined[place]
    return versions[versions.index(wanted) :][:2]
