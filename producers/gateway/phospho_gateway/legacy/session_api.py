"""`/v2/sessions`: one session, its tasks and its transcript."""

from __future__ import annotations

import uuid

from starlette.requests import Request
from starlette.responses import Response

from phospho_gateway.access.access import project_of
from phospho_gateway.legacy import models
from phospho_gateway.legacy.documents import new_session, session_document, task_document, transcript
from phospho_gateway.legacy.endpoints import (
    CONVERSATION_ORDER,
    PageRequest,
    legacy_get,
    legacy_get_page,
    legacy_post,
    legacy_post_page,
    page_of_body,
    page_of_query,
    path_id,
    refuse_unknown,
)
from phospho_gateway.legacy.reads.session_reads import SessionReads
from phospho_gateway.legacy.reads.task_reads import TaskPage, TaskReads
from phospho_gateway.read_store import GatewayServices
from phospho_schemas.times import utc_now
from phospho_web.endpoints import ApiEndpoints
from phospho_web.problems import Problem
from phospho_web.responses import json_response


class SessionApi(ApiEndpoints):
    """The endpoints of one session."""

    def __init__(self, services: GatewayServices) -> None:
        self._services = services
        self._sessions = SessionReads(services.reads.store)
        self._tasks = TaskReads(services.reads.store, services.settings.max_page_bytes)

    @legacy_post(
        "/v2/sessions",
        "Make the id of a session",
        models.Session,
        models.NewSession,
        description="Nothing is stored: a session is there with its first task. The answer names what was ignored.",
        success="An id that is new.",
        is_body_required=False,
    )
    async def create(self, request: Request) -> Response:
        """
        Return the id of a new session.

        Nothing is stored: a session exists with its first task. So `data` is ignored, and the response says so.
        """
        services = self._services
        granted = await services.access.project(request)
        with services.bodies.open(request) as body:
            sent = await body.object_or_empty()
            project_id = project_of(sent, granted)
            ignored = [name for name, value in sent.items() if name != "project_id" and value not in (None, {})]
        session = new_session(project_id, f"session_{uuid.uuid4().hex}", int(utc_now().timestamp()))
        return json_response(session | {"ignored": sorted(ignored)})

    @legacy_get_page(
        "/v2/sessions/{session_id:path}/tasks", "Read the tasks of a session", models.TaskPage, CONVERSATION_ORDER
    )
    @legacy_post_page(
        "/v2/sessions/{session_id:path}/tasks",
        "Read the tasks of a session",
        models.TaskPage,
        models.PageRequest,
        description=CONVERSATION_ORDER,
    )
    async def tasks(self, request: Request) -> Response:
        """Return the tasks of a session in the order of the conversation."""
        services = self._services
        project_id, session_id = await services.access.own_project(request), path_id(request, "session_id")
        page = page_of_query(request)
        if request.method == "POST":
            with services.bodies.open(request) as body:
                sent = await body.object_or_empty()
            refuse_unknown(sent, ("limit", "cursor"))
            page = page_of_body(sent)
        return await services.reads.run(self._tasks_response, project_id, session_id, page)

    @legacy_get_page(
        "/v2/sessions/{session_id:path}/transcript", "Read a session as text", models.Transcript, CONVERSATION_ORDER
    )
    async def transcript(self, request: Request) -> Response:
        """Return a session as lines of its user and its assistant."""
        project_id, session_id = await self._services.access.own_project(request), path_id(request, "session_id")
        page = page_of_query(request)
        return await self._services.reads.run(self._transcript_response, project_id, session_id, page)

    @legacy_get("/v2/sessions/{session_id:path}", "Read a session", models.Session)
    async def session(self, request: Request) -> Response:
        """Return a session."""
        project_id, session_id = await self._services.access.own_project(request), path_id(request, "session_id")
        session = await self._services.reads.run(self._sessions.session, project_id, session_id)
        if session is None:
            raise _unknown_session()
        return json_response(session_document(session))

    def _tasks_response(self, project_id: str, session_id: str, request: PageRequest) -> Response:
        page = self._page(project_id, session_id, request)
        return json_response({"tasks": [task_document(task) for task in page.tasks], "next_cursor": page.next_cursor})

    def _transcript_response(self, project_id: str, session_id: str, request: PageRequest) -> Response:
        page = self._page(project_id, session_id, request)
        return json_response({"transcript": transcript(page.tasks), "next_cursor": page.next_cursor})

    def _page(self, project_id: str, session_id: str, request: PageRequest) -> TaskPage:
        page = self._tasks.of_session(project_id, session_id, request)
        if not page.tasks and request.after is None:
            raise _unknown_session()
        return page


def _unknown_session() -> Problem:
    return Problem(
        404,
        "unknown_session",
        "there is no such session in this project",
        "a session is there with its first task, about a second after that was logged",
    )
