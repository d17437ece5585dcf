"""The API of users' SQL: /api/v1/sql runs a query, /api/v1/saved-queries keeps those worth running again."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from phospho_dashboard.services import ROWS, ApiEndpoints, Services
from phospho_dashboard.sql.guard import VIEWS
from phospho_dashboard.sql.queries import SqlQueries
from phospho_dashboard.sql.saved import CHARTS, SavedQueries, checked_chart, public_query
from phospho_schemas.rows.saved import MAX_NAME_CHARACTERS
from phospho_web.endpoints import api_endpoint
from phospho_web.openapi import ANY_OBJECT, TEXT, list_of, object_schema
from phospho_web.problems import Problem
from phospho_web.requests import choices_hint, text_field
from phospho_web.responses import json_response

_TEXT = "text/plain; charset=utf-8"
MEDIA_TYPES = {
    "TSV": "text/tab-separated-values; charset=utf-8",
    "TSVWithNames": "text/tab-separated-values; charset=utf-8",
    "CSV": "text/csv; charset=utf-8",
    "CSVWithNames": "text/csv; charset=utf-8; header=present",
    "JSON": "application/json",
    "JSONEachRow": "application/x-ndjson",
    "JSONCompact": "application/json",
    "Pretty": _TEXT,
    "PrettyCompact": _TEXT,
    "Markdown": "text/markdown; charset=utf-8",
    "Vertical": _TEXT,
    "Parquet": "application/vnd.apache.parquet",
    "Arrow": "application/vnd.apache.arrow.file",
}


class SqlApi(ApiEndpoints):
    """The endpoint of users' SQL."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._queries = SqlQueries(services)

    @api_endpoint(
        "post",
        "/sql",
        "Run a SQL query",
        {},
        description=f"One SELECT over {', '.join(VIEWS)}, of one's own project: read-only, and limited in "
        "time, memory and rows by ClickHouse itself. DESCRIBE and SHOW TABLES work too. The answer is in the requested "
        "format.",
        success="The rows.",
        answer_types=tuple(sorted({media_type.partition(";")[0] for media_type in MEDIA_TYPES.values()})),
        body=object_schema(["query"], query=TEXT, format={"enum": list(MEDIA_TYPES), "default": "JSON"}),
    )
    async def query(self, request: Request) -> Response:
        project_id = await self._access.api_project(request, "viewer")
        content = await self._body(request)
        sql = text_field(content, "query", max_length=self._services.settings.sql_max_query_bytes)
        format_name = text_field(content, "format", "JSON")
        if format_name not in MEDIA_TYPES:
            message = f"there is no format {format_name[:100]!r}"
            raise Problem(422, "unknown_format", message, choices_hint(format_name, MEDIA_TYPES))
        body = await self._services.sql_threads.run(project_id, self._queries.result, project_id, sql, format_name)
        headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
        return Response(body, headers=headers, media_type=MEDIA_TYPES[format_name])


class SavedQueriesApi(ApiEndpoints):
    """The endpoints of saved queries."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._saved = SavedQueries(services)

    @api_endpoint("get", "/saved-queries", "List saved queries", list_of("saved_queries", ROWS["items"]))
    async def saved(self, request: Request) -> Response:
        project_id = await self._access.api_project(request, "viewer")
        return json_response({"saved_queries": await self._threads.run(self._saved.rows, project_id)})

    @api_endpoint(
        "post",
        "/saved-queries",
        "Save a query, in place of the one of the same name",
        object_schema(["saved_query"], saved_query=ANY_OBJECT),
        body=object_schema(
            ["name", "sql"],
            name=TEXT | {"minLength": 1, "maxLength": MAX_NAME_CHARACTERS},
            sql=TEXT | {"minLength": 1},
            chart={"enum": list(CHARTS), "default": "auto"},
        ),
    )
    async def save(self, request: Request) -> Response:
        visitor, project_id = await self._access.api_visitor_and_project(request, "editor")
        content = await self._body(request)
        saved = await self._threads.run(
            self._saved.save,
            project_id,
            text_field(content, "name", max_length=MAX_NAME_CHARACTERS).strip(),
            text_field(content, "sql", max_length=self._services.settings.sql_max_query_bytes),
            chart=checked_chart(text_field(content, "chart", "auto")),
            author=visitor.author,
        )
        return json_response({"saved_query": public_query(saved)})

    @api_endpoint("delete", "/saved-queries/{query_id}", "Remove a saved query", None, status=204)
    async def remove(self, request: Request) -> Response:
        project_id = await self._access.api_project(request, "editor")
        await self._threads.run(self._saved.remove, project_id, request.path_params["query_id"])
        return Response(status_code=204)
