"""
The pages of sessions and their JSON twins, out of the same data.

One function makes the data of a page. The page, its `.json` twin and the API's endpoint differ in who may ask and in
how the data is written, and in nothing else.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from phospho_dashboard.access import Access
from phospho_dashboard.answers import answered, json_response
from phospho_store.cursors import decoded_cursor, page_limit
from phospho_dashboard.frames import frame_of
from phospho_dashboard.rendering import page_response, paged
from phospho_dashboard.services import Services
from phospho_dashboard.sessions import SessionFilter, Sessions
from phospho_dashboard.urls import session_path, sessions_path
from phospho_schemas.errors import Problem
from phospho_store.auth import Principal

_MAX_WORDS_CHARACTERS = 200


class SessionPages:
    """The endpoints of sessions: of the API, the twins and the pages."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._access = Access(services)
        self._sessions = Sessions(services.store)

    async def root(self, request: Request) -> Response:
        return RedirectResponse(sessions_path(project=request.query_params.get("project")), 303)

    async def sessions_of_api(self, request: Request) -> Response:
        return json_response(await self._list(request, await self._access.of_api_project(request)))

    async def session_of_api(self, request: Request) -> Response:
        project_id = await self._access.of_api_project(request)
        return json_response(await self._transcript(request, project_id, request.path_params["session_id"]))

    async def sessions_twin(self, request: Request) -> Response:
        _, project_id = await self._reader(request)
        return json_response(await self._list(request, project_id))

    async def session_twin(self, request: Request) -> Response:
        _, project_id = await self._reader(request)
        return json_response(await self._transcript(request, project_id, request.path_params["session_id"]))

    async def sessions_page(self, request: Request) -> Response:
        principal, project_id = await self._reader(request)
        content = await self._list(request, project_id)
        shared = await self._shared(principal, project_id)
        chosen = {"event": content["event"], "q": content["q"]}
        links = {
            "json_path": sessions_path(is_json=True, project=project_id, **chosen),
            "next_path": content["next_cursor"]
            and sessions_path(project=project_id, cursor=content["next_cursor"], **chosen),
            "is_first_page": not request.query_params.get("cursor"),
        }
        return page_response("sessions.html", shared | content | links)

    async def session_page_or_twin(self, request: Request) -> Response:
        """Answer for a transcript, or, where the path ends in .json, for its twin."""
        session_id = request.path_params["session_id"]
        if session_id.endswith(".json") and request.query_params.get("as") != "page":
            request.path_params["session_id"] = session_id.removesuffix(".json")
            return await answered(self.session_twin)(request)
        return await paged(self.session_page)(request)

    async def session_page(self, request: Request) -> Response:
        session_id = request.path_params["session_id"]
        principal, project_id = await self._reader(request)
        content = await self._transcript(request, project_id, session_id)
        cursor = content["next_cursor"]
        links = {
            "json_path": session_path(session_id, is_json=True, project=project_id),
            "next_path": cursor and session_path(session_id, project=project_id, cursor=cursor),
            "is_first_page": not request.query_params.get("cursor"),
        }
        return page_response("session.html", await self._shared(principal, project_id) | content | links)

    async def _reader(self, request: Request) -> tuple[Principal, str]:
        principal = await self._access.of_page(request)
        return principal, await self._access.project_id(principal, request.query_params.get("project") or None)

    async def _list(self, request: Request, project_id: str) -> dict[str, Any]:
        query = request.query_params
        chosen = SessionFilter(query.get("event", ""), query.get("q", "").strip())
        if len(chosen.words) > _MAX_WORDS_CHARACTERS:
            raise Problem(400, "invalid_q", f"'q' must be at most {_MAX_WORDS_CHARACTERS} characters")
        before, limit = decoded_cursor(query.get("cursor")), page_limit(query.get("limit"))
        run = self._services.threads.run
        page = await run(self._sessions.page, project_id, chosen, before, limit)
        counts = await run(self._sessions.event_counts, project_id)
        return {"project_id": project_id, "event": chosen.event, "q": chosen.words, "event_counts": counts} | page

    async def _transcript(self, request: Request, project_id: str, session_id: str) -> dict[str, Any]:
        after = decoded_cursor(request.query_params.get("cursor"))
        content = await self._services.threads.run(self._sessions.transcript, project_id, session_id, after)
        return {"project_id": project_id} | content

    async def _shared(self, principal: Principal, project_id: str) -> dict[str, Any]:
        """Return what every page shows around its content."""
        projects = await self._access.projects(principal)
        return {"frame": frame_of("sessions", project_id, projects, self._services.settings.base_url, {})}
