"""The API to close a session before its idle timeout."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from phospho_dashboard.services import Services
from phospho_dashboard.web.routes import api_route
from phospho_store.jobs.session_closes import SessionCloseRepository
from phospho_web.problems import Problem
from phospho_web.responses import json_response


def session_api_routes(services: Services) -> list[BaseRoute]:
    """Return the route that closes a session."""
    return [api_route("POST", "/sessions/{session_id:any_text}/close", SessionsApi(services).close)]


class SessionsApi:
    """The endpoint that closes a session: its definitions of whole sessions are looked for at once."""

    def __init__(self, services: Services) -> None:
        self._threads = services.threads
        self._access = services.access
        self._closings = SessionCloseRepository(services.store, services.clock)

    async def close(self, request: Request) -> Response:
        project_id = await self._access.api_project(request, "editor")
        session_id = request.path_params["session_id"]
        closing = await self._threads.run(self._closings.close, project_id, session_id)
        if closing is None:
            raise Problem(404, "unknown_session", f"there is no session {session_id!r}")
        return json_response({"closing": closing.model_dump(mode="json", exclude={"revision"})})
