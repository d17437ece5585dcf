"""The API to close a session before its idle timeout."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from phospho_dashboard.endpoints import ApiEndpoints, api_endpoint
from phospho_dashboard.services import Services
from phospho_store.jobs.session_closes import SessionCloseRepository
from phospho_web.openapi import (
    ANY_OBJECT,
    object_schema,
)
from phospho_web.problems import Problem
from phospho_web.responses import json_response


class SessionsApi(ApiEndpoints):
    """The endpoint that closes a session: its definitions of whole sessions are looked for at once."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._closings = SessionCloseRepository(services.store, services.clock)

    @api_endpoint(
        "post",
        "/sessions/{session_id:any_text}/close",
        "Close a session",
        object_schema(["closing"], closing=ANY_OBJECT),
        description="Definitions of whole sessions are looked for at once; a later task opens it again.",
    )
    async def close(self, request: Request) -> Response:
        project_id = await self._access.api_project(request, "editor")
        session_id = request.path_params["session_id"]
        closing = await self._threads.run(self._closings.close, project_id, session_id)
        if closing is None:
            raise Problem(404, "unknown_session", f"there is no session {session_id!r}")
        return json_response({"closing": closing.model_dump(mode="json", exclude={"revision"})})
