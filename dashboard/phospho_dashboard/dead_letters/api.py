"""The API of dead letters, /api/v1/dead-letters, and their replay."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from phospho_dashboard.auth.visitors import Visitor
from phospho_dashboard.dead_letters.dead_letters import DeadLetters
from phospho_dashboard.dead_letters.replay import ReplayMessage, publish_replay
from phospho_dashboard.services import Services
from phospho_dashboard.web.routes import api_route
from phospho_schemas.people import Role
from phospho_schemas.topics import RAW_LOGS
from phospho_web.bodies import read_object, text_field
from phospho_web.cursors import decoded_cursor, page_limit
from phospho_web.responses import json_response

_NOTE = "a dead letter says what came, not what became of it: it stays listed"


def dead_letter_api_routes(services: Services) -> list[BaseRoute]:
    """Return the routes of dead letters."""
    dead_letters = DeadLettersApi(services)
    return [
        api_route("GET", "/dead-letters", dead_letters.dead_letters),
        api_route("GET", "/dead-letters/{dead_letter_id}", dead_letters.dead_letter),
        api_route("POST", "/dead-letters/{dead_letter_id}/replay", dead_letters.replay),
    ]


class DeadLettersApi:
    """The endpoints of dead letters."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._access = services.access
        self._dead_letters = DeadLetters(services.store)

    async def dead_letters(self, request: Request) -> Response:
        _, projects = await self._reader(request)
        before = decoded_cursor(request.query_params.get("cursor"))
        limit = page_limit(request.query_params.get("limit"))
        return json_response(await self._services.threads.run(self._dead_letters.page, projects, before, limit))

    async def dead_letter(self, request: Request) -> Response:
        _, projects = await self._reader(request)
        letter = await self._services.threads.run(
            self._dead_letters.dead_letter, projects, request.path_params["dead_letter_id"]
        )
        return json_response({"dead_letter": letter})

    async def replay(self, request: Request) -> Response:
        """Log the message again, as it came or as the body mends it. Twice is one task."""
        visitor, projects = await self._reader(request, "editor")
        content = await read_object(request, self._services.settings.max_payload_bytes)
        mended = text_field(content, "payload", max_length=10_000_000) if "payload" in content else None
        dead_letter_id = request.path_params["dead_letter_id"]
        message = await publish_replay(
            self._services, visitor, projects=projects, dead_letter_id=dead_letter_id, mended=mended
        )
        return json_response(_answer(dead_letter_id, message), 202)

    async def _reader(self, request: Request, role: Role = "viewer") -> tuple[Visitor, list[str]]:
        visitor, project_id = await self._access.api_visitor_and_project(request, role)
        return visitor, visitor.readable_projects(project_id)


def _answer(dead_letter_id: str, message: ReplayMessage) -> dict[str, Any]:
    return {
        "dead_letter_id": dead_letter_id,
        "status": "published",
        "topic": RAW_LOGS.name,
        "project_id": message.project_id,
        "task_id": message.task_id,
        "note": _NOTE,
    }
