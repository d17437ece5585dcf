"""What no stage could read: /api/v1/dead-letters, and logging one again."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from phospho_dashboard.auth.access import Access
from phospho_dashboard.auth.visitors import Visitor
from phospho_dashboard.dead_letters.dead_letters import DeadLetters
from phospho_dashboard.dead_letters.replay import Replayed, replayed
from phospho_dashboard.services import Services
from phospho_schemas.people import Role
from phospho_schemas.topics import RAW_LOGS
from phospho_store.cursors import decoded_cursor, page_limit
from phospho_web.bodies import read_object, text_field
from phospho_web.problems import Problem
from phospho_web.responses import json_response

_STAYS = "a dead letter says what came, not what became of it: it stays listed"


class DeadLettersApi:
    """The endpoints of dead letters."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._access = Access(services)
        self._letters = DeadLetters(services.store)

    async def dead_letters(self, request: Request) -> Response:
        _, projects = await self._reader(request)
        before = decoded_cursor(request.query_params.get("cursor"))
        limit = page_limit(request.query_params.get("limit"))
        return json_response(await self._services.threads.run(self._letters.page, projects, before, limit))

    async def dead_letter(self, request: Request) -> Response:
        _, projects = await self._reader(request)
        letter = await self._services.threads.run(self._letters.one, projects, request.path_params["dead_letter_id"])
        return json_response({"dead_letter": letter})

    async def replay(self, request: Request) -> Response:
        """Log the message again, as it came or as the body has mended it. Twice is one task."""
        visitor, projects = await self._reader(request, "editor")
        content = await read_object(request, self._services.settings.max_payload_bytes)
        mended = text_field(content, "payload", max_length=10_000_000) if "payload" in content else None
        dead_letter_id = request.path_params["dead_letter_id"]
        message = await replay(self._services, visitor, projects, dead_letter_id, mended)
        return json_response(_answer(dead_letter_id, message), 202)

    async def _reader(self, request: Request, needs: Role = "viewer") -> tuple[Visitor, list[str]]:
        visitor, project_id = await self._access.of_api_with_project(request, needs)
        return visitor, readable_projects(visitor, project_id)


def readable_projects(visitor: Visitor, project_id: str) -> list[str]:
    """Return the project asked for; for an administrator with "", that of messages which did not say theirs."""
    return [project_id, ""] if visitor.is_admin else [project_id]


async def replay(
    services: Services, visitor: Visitor, projects: list[str], dead_letter_id: str, mended: str | None
) -> Replayed:
    """
    Publish a dead letter of `projects` again and return what was published, when it is durable.

    An administrator's replay goes to the project that the message names, anybody else's to the one asked for.
    Raises Problem: 403, 404, 409, 413, 422, or 503 in a process that can't publish.
    """
    letter = await services.threads.run(DeadLetters(services.store).one, projects, dead_letter_id)
    message = replayed(letter, mended, None if visitor.is_admin else projects[0])
    if services.publisher is None:
        raise Problem(503, "no_publisher", "this process can't publish", "ask the gateway, or phospho up")
    await services.publisher.publish([message.keyed])
    return message


def _answer(dead_letter_id: str, message: Replayed) -> dict[str, Any]:
    return {
        "dead_letter_id": dead_letter_id,
        "status": "published",
        "topic": RAW_LOGS.name,
        "project_id": message.project_id,
        "task_id": message.task_id,
        "note": _STAYS,
    }
