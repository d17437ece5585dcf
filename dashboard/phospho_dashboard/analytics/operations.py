"""The OpenAPI operations of the analytics pages."""

from __future__ import annotations

from dataclasses import fields

from phospho_dashboard.openapi.parts import LIMIT, ROWS
from phospho_dashboard.queries.filters import URL_NAMES, Filters
from phospho_dashboard.queries.periods import PERIODS
from phospho_web.openapi import ANY_OBJECT, TEXT, TIME, Json, Operation, nullable, object_of, query_parameter


def analytics_operations() -> list[Operation]:
    """Return the operations of the analytics pages."""
    filters, paging = _filters(), (query_parameter("cursor", TEXT), LIMIT)
    scope = {
        "project_id": TEXT,
        "period": TEXT,
        "from": nullable(TIME),
        "to": nullable(TIME),
        "filters": ANY_OBJECT,
    }
    page = {**scope, "next_cursor": nullable(TEXT)}
    sort = query_parameter("sort", TEXT, "how the list is sorted; another name than those of the page is refused")
    return [
        Operation("get", "/dashboard", "Numbers over time", object_of(list(scope), **scope), parameters=filters),
        Operation(
            "get",
            "/sessions",
            "Sessions",
            object_of([*page, "sessions"], **page, sessions=ROWS),
            parameters=(*filters, sort, *paging),
        ),
        Operation(
            "get",
            "/sessions/{item_id}",
            "The transcript of a session",
            object_of(["session"], session=ANY_OBJECT, next_cursor=nullable(TEXT)),
            parameters=(paging[0],),
        ),
        Operation(
            "post",
            "/sessions/{session_id}/close",
            "Say that a session is over",
            object_of(["closing"], closing=ANY_OBJECT),
            description="Definitions of whole sessions are looked for at once; a later task opens it again.",
        ),
        Operation(
            "get",
            "/tasks",
            "Tasks, with their texts cut",
            object_of([*page, "tasks"], **page, tasks=ROWS),
            parameters=(*filters, sort, *paging),
        ),
        Operation("get", "/tasks/{item_id}", "All of one task", object_of(["task"], task=ANY_OBJECT)),
        Operation(
            "get", "/event-stats", "Events by name", object_of(["events"], **scope, events=ROWS), parameters=filters
        ),
        Operation(
            "get",
            "/event-stats/{item_id}",
            "One event: trend, scores, examples",
            object_of(["name"], name=TEXT),
            parameters=filters,
        ),
        Operation(
            "get",
            "/users",
            "Users",
            object_of([*page, "users"], **page, users=ROWS),
            parameters=(*filters, sort, *paging),
        ),
        Operation(
            "get",
            "/versions",
            "Versions of the app, side by side",
            object_of(["versions"], **scope, versions=ROWS),
            description="With intervals that stay valid when one looks often.",
            parameters=(*filters, query_parameter("base", TEXT, "the version that the others are compared with")),
        ),
    ]


def _filters() -> tuple[Json, ...]:
    names = [URL_NAMES.get(field.name, field.name) for field in fields(Filters)]
    schemas = {"period": {"enum": list(PERIODS)}, "from": TIME, "to": TIME}
    return tuple(query_parameter(name, schemas.get(name, TEXT), "narrows to this") for name in names)
