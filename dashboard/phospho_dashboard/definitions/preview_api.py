"""What a definition would find in recent tasks, before it is saved."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from phospho_dashboard.auth.access import Access
from phospho_dashboard.definitions.definitions import DefinitionTrials, checked_definition
from phospho_dashboard.services import Services
from phospho_schemas.messages import EventDefinition
from phospho_web.bodies import read_object
from phospho_web.problems import Problem
from phospho_web.responses import json_response


class PreviewApi:
    """The endpoint of the API; the page has the same in its form."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._access = Access(services)

    async def preview(self, request: Request) -> Response:
        """Answer with what a definition would find in recent tasks; nothing is stored."""
        project_id = await self._access.of_api_project(request, "editor")
        content = await read_object(request, self._services.settings.max_body_bytes)
        definition = checked_definition(project_id, content.get("definition"), self._services.check_definition)
        return json_response(await self._services.threads.run(previewed, self._services, definition))


def previewed(services: Services, definition: EventDefinition) -> dict[str, Any]:
    """Return what DefinitionTrials.preview does; Problem 503 in a process that can't detect. Blocking."""
    if services.preview is None:
        raise Problem(503, "no_preview", "this process can't try definitions", "save it, and see what it finds")
    return DefinitionTrials(services.store).preview(definition, services.preview)
