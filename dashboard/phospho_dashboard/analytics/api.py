"""The query API of analytics: the OpenAPI operations of the views, and the endpoint that closes a session."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from phospho_dashboard.queries.filters import url_names
from phospho_dashboard.queries.periods import PERIODS
from phospho_dashboard.services import LIMIT, ROWS, ApiEndpoints, Services
from phospho_store.jobs.session_closes import SessionCloseRepository
from phospho_web.endpoints import api_endpoint
from phospho_web.openapi import (
    ANY_OBJECT,
    TEXT,
    TIME,
    Json,
    Operation,
    Schema,
    nullable,
    object_schema,
    query_parameter,
)
from phospho_web.problems import Problem
from phospho_web.responses import json_response

_CURSOR = query_parameter("cursor", TEXT)
_SCOPE: dict[str, Schema] = {
    "project_id": TEXT,
    "period": TEXT,
    "from": nullable(TIME),
    "to": nullable(TIME),
    "time_zone": TEXT,
    "filters": ANY_OBJECT,
}


def analytics_operations() -> list[Operation]:
    """Return the operations of the analytics views."""
    overview = object_schema(list(_SCOPE), **_SCOPE)
    transcript = object_schema(["session"], session=ANY_OBJECT, next_cursor=nullable(TEXT))
    task, event = object_schema(["task"], task=ANY_OBJECT), object_schema(["name"], name=TEXT)
    events, versions = (object_schema([name], **_SCOPE, **{name: ROWS}) for name in ("events", "versions"))
    filters = filter_parameters()
    base = query_parameter("base", TEXT, "the version that the others are compared with")
    return [
        Operation("get", "/dashboard", "Numbers of the dashboard, over time", overview, parameters=filters),
        _list("/sessions", "Sessions", "sessions"),
        Operation("get", "/sessions/{item_id}", "The transcript of a session", transcript, parameters=(_CURSOR,)),
        _list("/tasks", "Tasks, with their texts cut", "tasks"),
        Operation("get", "/tasks/{item_id}", "All of one task", task),
        Operation(
            "get",
            "/similar-tasks/{item_id}",
            "The tasks with the inputs most like that of a task",
            object_schema(["tasks"], tasks=ROWS),
            description="Each has its `similarity`; the most similar is first, 20 at most.",
            parameters=filters,
        ),
        Operation("get", "/event-stats", "Events by name", events, parameters=filters),
        Operation("get", "/event-stats/{item_id}", "One event: trend, scores, examples", event, parameters=filters),
        _list("/users", "Users", "users"),
        Operation(
            "get",
            "/users/{item_id}",
            "One user: activity, success, events, themes and latest sessions",
            object_schema(["user"], user=ANY_OBJECT),
            parameters=filters,
        ),
        Operation(
            "get",
            "/versions",
            "Versions of the app, side by side",
            versions,
            description="With intervals that stay valid however often they are read.",
            parameters=(*filters, base),
        ),
    ]


def _list(path: str, summary: str, rows: str) -> Operation:
    page = {**_SCOPE, "next_cursor": nullable(TEXT)}
    sort = query_parameter("sort", TEXT, "order of the list; a name that the page doesn't offer is refused")
    return Operation(
        "get",
        path,
        summary,
        object_schema([*page, rows], **page, **{rows: ROWS}),
        parameters=(*filter_parameters(), sort, _CURSOR, LIMIT),
    )


def filter_parameters() -> tuple[Json, ...]:
    """Return the parameters of the filters, which every view of tasks takes."""
    schemas = {"period": {"enum": list(PERIODS)}, "from": TIME, "to": TIME}
    return tuple(query_parameter(name, schemas.get(name, TEXT), "filter") for name in url_names())


class SessionsApi(ApiEndpoints):
    """The endpoint that closes a session, so that its events of whole sessions are detected at once."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._closings = SessionCloseRepository(services.store, services.clock)

    @api_endpoint(
        "post",
        "/sessions/{session_id:any_text}/close",
        "Close a session",
        object_schema(["closing"], closing=ANY_OBJECT),
        description="Events of whole sessions are detected at once; a later task opens it again.",
    )
    async def close(self, request: Request) -> Response:
        project_id = await self._access.api_project(request, "editor")
        session_id = request.path_params["session_id"]
        closing = await self._threads.run(self._closings.close, project_id, session_id)
        if closing is None:
            raise Problem(404, "unknown_session", f"there is no session {session_id!r}")
        return json_response({"closing": closing.model_dump(mode="json", exclude={"revision"})})
