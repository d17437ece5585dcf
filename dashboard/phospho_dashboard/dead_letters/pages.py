"""The pages of dead letters: the list, and one to look at, mend and replay."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from phospho_dashboard.auth.access import Access
from phospho_dashboard.auth.visitors import Visitor
from phospho_dashboard.dead_letters.api import readable_projects, replay
from phospho_dashboard.dead_letters.dead_letters import DeadLetters
from phospho_dashboard.dead_letters.replay import Replayed
from phospho_dashboard.layout.settings_frame import SettingsFrames
from phospho_dashboard.services import Services
from phospho_dashboard.web.rendering import paged
from phospho_store.cursors import decoded_cursor, page_limit
from phospho_web.problems import Problem
from phospho_web.responses import json_response, with_json_errors

_PATH = "/settings/dead-letters"
# A textarea that a browser can still edit; what is longer is mended in a file, with the command.
_MAX_EDITED_CHARACTERS = 100_000


def dead_letter_routes(services: Services) -> list[Route]:
    """Return the routes of dead letters."""
    pages = DeadLetterPages(services)
    return [
        Route(_PATH, paged(pages.list_page)),
        Route(f"{_PATH}.json", with_json_errors(pages.list_twin)),
        Route(f"{_PATH}/{{dead_letter_id}}.json", with_json_errors(pages.twin)),
        Route(f"{_PATH}/{{dead_letter_id}}", paged(pages.page)),
        Route(f"{_PATH}/{{dead_letter_id}}", paged(pages.replay), methods=["POST"]),
    ]


class DeadLetterPages:
    """The pages, their twins and the form that replays."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._access = Access(services)
        self._frames = SettingsFrames(services)
        self._letters = DeadLetters(services.store)

    async def list_page(self, request: Request) -> Response:
        visitor, projects = await self._reader(request)
        content = await self._list(request, projects) | {"is_first_page": not request.query_params.get("cursor")}
        return await self._frames.shown(request, visitor, "dead-letters", "dead_letters/dead_letters.html", content)

    async def list_twin(self, request: Request) -> Response:
        _, projects = await self._reader(request)
        return json_response(await self._list(request, projects))

    async def page(self, request: Request) -> Response:
        visitor, projects = await self._reader(request)
        return await self._shown(request, visitor, projects)

    async def twin(self, request: Request) -> Response:
        _, projects = await self._reader(request)
        return json_response(await self._one(request, projects))

    async def replay(self, request: Request) -> Response:
        """Replay as it came, or as the form has mended it, and say which task it is."""
        visitor, form = await self._access.of_form(request)
        projects = readable_projects(visitor, await self._frames.project_id(request, visitor))
        mended = form.raw("payload", self._services.settings.max_body_bytes) if form.text("is_mended") else None
        try:
            dead_letter_id = request.path_params["dead_letter_id"]
            message = await replay(self._services, visitor, projects, dead_letter_id, mended)
        except Problem as problem:
            if problem.status == 404:
                raise
            return await self._shown(request, visitor, projects, mended=mended, problem=problem)
        return await self._shown(request, visitor, projects, replayed=message)

    async def _reader(self, request: Request) -> tuple[Visitor, list[str]]:
        visitor = await self._access.of_page(request)
        return visitor, readable_projects(visitor, await self._frames.project_id(request, visitor))

    async def _list(self, request: Request, projects: list[str]) -> dict[str, Any]:
        before = decoded_cursor(request.query_params.get("cursor"))
        limit = page_limit(request.query_params.get("limit"))
        return await self._services.threads.run(self._letters.page, projects, before, limit)

    async def _one(self, request: Request, projects: list[str]) -> dict[str, Any]:
        dead_letter_id = request.path_params["dead_letter_id"]
        letter = await self._services.threads.run(self._letters.one, projects, dead_letter_id)
        return {"dead_letter": letter}

    async def _shown(
        self,
        request: Request,
        visitor: Visitor,
        projects: list[str],
        *,
        mended: str | None = None,
        replayed: Replayed | None = None,
        problem: Problem | None = None,
    ) -> Response:
        content = await self._one(request, projects)
        payload = content["dead_letter"]["payload"]
        edited = {
            "payload": payload if mended is None else mended,
            "is_editable": len(payload) <= _MAX_EDITED_CHARACTERS,
            "replayed": replayed,
        }
        return await self._frames.shown(
            request, visitor, "dead-letters", "dead_letters/dead_letter.html", content | edited, problem
        )
