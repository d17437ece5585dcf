"""`/v2/projects`: a project, its sessions and its tasks."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from phospho_gateway.legacy import models
from phospho_gateway.legacy.documents import flattened, project_document, session_document, task_document
from phospho_gateway.legacy.endpoints import (
    PageRequest,
    legacy_get,
    legacy_get_page,
    legacy_post_page,
    page_of_body,
    page_of_query,
    refuse_unknown,
    switch_field,
)
from phospho_gateway.legacy.reads.filters import ANY_TASK, Condition, condition_of
from phospho_gateway.legacy.reads.session_reads import SessionReads
from phospho_gateway.legacy.reads.task_reads import TaskReads
from phospho_gateway.read_store import GatewayServices
from phospho_web.endpoints import ApiEndpoints
from phospho_web.problems import Problem
from phospho_web.responses import json_response

_LIST_FIELDS = ("filters", "limit", "cursor")
_FLAT_FIELDS = ("limit", "cursor", "with_events", "with_sessions", "with_removed_events")


class ProjectApi(ApiEndpoints):
    """The endpoints of a project that read."""

    def __init__(self, services: GatewayServices) -> None:
        self._services = services
        self._sessions = SessionReads(services.reads.store)
        self._tasks = TaskReads(services.reads.store, services.settings.max_page_bytes)

    @legacy_get("/v2/projects/{project_id}", "Read a project", models.Project)
    async def project(self, request: Request) -> Response:
        """Return a project with the events that it defines."""
        return await self._services.reads.run(self._project_response, await self._services.access.own_project(request))

    @legacy_get_page("/v2/projects/{project_id}/sessions", "Read sessions", models.SessionPage, "The latest first.")
    @legacy_post_page(
        "/v2/projects/{project_id}/sessions",
        "Read sessions",
        models.SessionPage,
        models.ListRequest,
        description="Of tasks that pass.",
    )
    async def sessions(self, request: Request) -> Response:
        """Return sessions of a project, the one with the latest task first; POST takes filters of their tasks."""
        project_id = await self._services.access.own_project(request)
        page, condition = page_of_query(request), ANY_TASK
        if request.method == "POST":
            body = await self._body(request, _LIST_FIELDS)
            page, condition = page_of_body(body), condition_of(body.get("filters"))
        return await self._services.reads.run(self._sessions_page, project_id, page, condition)

    @legacy_post_page(
        "/v2/projects/{project_id}/tasks",
        "Read tasks",
        models.TaskPage,
        models.ListRequest,
        description="The newest first.",
    )
    async def tasks(self, request: Request) -> Response:
        """Return the tasks of a project that meet the filters, the newest first."""
        project_id = await self._services.access.own_project(request)
        body = await self._body(request, _LIST_FIELDS)
        condition, page = condition_of(body.get("filters")), page_of_body(body)
        return await self._services.reads.run(self._tasks_page, project_id, page, condition)

    @legacy_post_page(
        "/v2/projects/{project_id}/tasks/flat",
        "Read tasks as rows",
        models.FlatPage,
        models.FlatRequest,
        description="A row for each event.",
    )
    async def flat_tasks(self, request: Request) -> Response:
        """Return tasks of a project, the newest first, each with a row for every event of it."""
        project_id = await self._services.access.own_project(request)
        body = await self._body(request, _FLAT_FIELDS)
        with_events, with_sessions = (switch_field(body, name, True) for name in ("with_events", "with_sessions"))
        # No event is ever marked as removed: one that a task no longer shows is gone, so there is none to add.
        switch_field(body, "with_removed_events", False)
        page = page_of_body(body)
        return await self._services.reads.run(
            self._flat_page, project_id, page, with_events=with_events, with_sessions=with_sessions
        )

    async def _body(self, request: Request, fields: tuple[str, ...]) -> dict[str, Any]:
        """Return the body, which upstream's client leaves out unless it has filters or options."""
        with self._services.bodies.open(request) as body:
            sent = await body.object_or_empty()
        refuse_unknown(sent, fields)
        return sent

    def _project_response(self, project_id: str) -> Response:
        registry = self._services.reads.registry
        project = registry.project(project_id)
        if project is None:
            raise Problem(404, "unknown_project", "there is no such project", "create it with phospho projects create")
        return json_response(project_document(project, registry.definitions(project_id)))

    def _sessions_page(self, project_id: str, request: PageRequest, condition: Condition) -> Response:
        page = self._sessions.newest(project_id, request, condition)
        sessions = [session_document(session) for session in page.sessions]
        return json_response({"sessions": sessions, "next_cursor": page.next_cursor})

    def _tasks_page(self, project_id: str, request: PageRequest, condition: Condition) -> Response:
        page = self._tasks.newest(project_id, request, condition)
        return json_response({"tasks": [task_document(task) for task in page.tasks], "next_cursor": page.next_cursor})

    def _flat_page(self, project_id: str, request: PageRequest, *, with_events: bool, with_sessions: bool) -> Response:
        page = self._tasks.newest(project_id, request, is_by_event=with_events)
        rows = [row for task in page.tasks for row in flattened(task, with_events, with_sessions)]
        return json_response({"flattened_tasks": rows, "next_cursor": page.next_cursor})
