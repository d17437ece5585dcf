"""The SQL page: an editor with the schema beside it, the result as chart and table, saved queries, downloads."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute

from phospho_dashboard.auth.visitors import Visitor
from phospho_dashboard.layout.pages import ProjectPage
from phospho_dashboard.services import Endpoints, Services
from phospho_dashboard.sql.examples import EXAMPLES
from phospho_dashboard.sql.queries import SqlQueries
from phospho_dashboard.sql.results import MAX_ROWS, csv_file, page_result
from phospho_dashboard.sql.saved import CHARTS, SavedQueries, checked_chart
from phospho_dashboard.web.forms import Form
from phospho_dashboard.web.routes import form_route, page_route, twin_route
from phospho_dashboard.web.urls import with_query
from phospho_schemas.rows.saved import MAX_NAME_CHARACTERS
from phospho_store.view_columns import VIEW_REFERENCES
from phospho_web.problems import Problem
from phospho_web.responses import json_response

_PATH = "/sql"
# A longer URL may be cut by a proxy: the result of such a query is shown without an address of its own.
_MAX_URL_CHARACTERS = 6_000
_CHART_LABELS = {"auto": "Automatic", "line": "Lines", "bar": "Bars", "stack": "Stacked bars", "none": "No chart"}


class SqlPages(Endpoints):
    """The page, its twin, its forms and its files. A viewer may run queries, an editor may save them."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._queries = SqlQueries(services)
        self._saved = SavedQueries(services)
        self._page = ProjectPage(services, "sql", "sql/sql.html")

    def routes(self) -> list[BaseRoute]:
        """Return the routes of the page."""
        return [
            twin_route(_PATH, self.twin),
            page_route(_PATH, self.page),
            form_route(_PATH, self.run),
            form_route(f"{_PATH}.csv", self.csv),
            form_route(f"{_PATH}.parquet", self.parquet),
            form_route(f"{_PATH}/save", self.save),
            form_route(f"{_PATH}/remove", self.remove),
        ]

    async def twin(self, request: Request) -> Response:
        """Return the schema and the saved queries; POST /api/v1/sql returns results."""
        _, project_id = await self._access.page_visitor_and_project(request)
        views = [
            {"name": view.name, "description": view.description, "columns": [vars(column) for column in view.columns]}
            for view in VIEW_REFERENCES.values()
        ]
        saved = await self._threads.run(self._saved.rows, project_id)
        return json_response({"project_id": project_id, "views": views, "saved_queries": saved})

    async def page(self, request: Request) -> Response:
        visitor, project_id = await self._access.page_visitor_and_project(request)
        saved_id = request.query_params.get("saved", "")
        if not saved_id:
            sql, chart = request.query_params.get("query", ""), request.query_params.get("chart", "")
            return await self._render(request, visitor, sql=sql, chart=chart)
        query = await self._threads.run(self._saved.query, project_id, saved_id)
        return await self._render(request, visitor, sql=query.sql, chart=query.chart, name=query.name)

    async def run(self, request: Request) -> Response:
        """Run a query: lead to its URL, which can be shared, or show the result of one that no URL holds."""
        visitor, project_id, form = await self._access.form_visitor_and_project(request, "viewer")
        sql, chart = self._sql(form), form.text("chart")
        if len(urlencode({"query": sql})) > _MAX_URL_CHARACTERS:
            return await self._render(request, visitor, sql=sql, chart=chart)
        chart_query = {"chart": chart} if chart not in ("", "auto") else {}
        return RedirectResponse(with_query(_PATH, {"project": project_id, "query": sql, **chart_query}), 303)

    async def csv(self, request: Request) -> Response:
        return await self._file(request, "JSONCompact", "csv", "text/csv; charset=utf-8; header=present")

    async def parquet(self, request: Request) -> Response:
        return await self._file(request, "Parquet", "parquet", "application/vnd.apache.parquet")

    async def save(self, request: Request) -> Response:
        visitor, project_id, form = await self._access.form_visitor_and_project(request, "editor")
        sql, chart, name = self._sql(form), form.text("chart"), form.text("name", 2 * MAX_NAME_CHARACTERS)
        try:
            saved = await self._threads.run(
                self._saved.save, project_id, name, sql, chart=checked_chart(chart), author=visitor.author
            )
        except Problem as problem:
            return await self._render(request, visitor, sql=sql, chart=chart, name=name, problem=problem)
        return RedirectResponse(with_query(_PATH, {"project": project_id, "saved": saved.query_id}), 303)

    async def remove(self, request: Request) -> Response:
        _, project_id, form = await self._access.form_visitor_and_project(request, "editor")
        await self._threads.run(self._saved.remove, project_id, form.text("query_id"))
        return RedirectResponse(with_query(_PATH, {"project": project_id}), 303)

    async def _file(self, request: Request, format_name: str, ending: str, media_type: str) -> Response:
        """Return the whole result as a file; what is wrong is shown on the page."""
        visitor, project_id, form = await self._access.form_visitor_and_project(request, "viewer")
        sql = self._sql(form)
        try:
            body = await self._services.sql_threads.run(project_id, self._content, project_id, sql, format_name)
        except Problem as problem:
            return await self._render(request, visitor, sql=sql, chart=form.text("chart"), problem=problem)
        headers = {
            "Cache-Control": "no-store",
            "Content-Disposition": f'attachment; filename="query.{ending}"',
            "X-Content-Type-Options": "nosniff",
        }
        return Response(body, headers=headers, media_type=media_type)

    def _content(self, project_id: str, sql: str, format_name: str) -> bytes:
        body = self._queries.result(project_id, sql, format_name)
        return csv_file(body) if format_name == "JSONCompact" else body

    def _sql(self, form: Form) -> str:
        return form.text("query", self._services.settings.sql_max_query_bytes)

    async def _render(
        self,
        request: Request,
        visitor: Visitor,
        *,
        sql: str,
        chart: str,
        name: str = "",
        problem: Problem | None = None,
    ) -> Response:
        project_id = await self._access.query_project(request, visitor)
        result = None
        if sql.strip() and problem is None:
            try:
                result = await self._run(project_id, sql, checked_chart(chart))
            except Problem as refusal:
                problem = refusal
        content: dict[str, Any] = {
            "project_id": project_id,
            "sql": sql or next(iter(EXAMPLES.values())),
            "name": name,
            "chart": chart if chart in CHARTS else "auto",
            "charts": _CHART_LABELS,
            "result": result,
            "max_rows": MAX_ROWS,
            "views": VIEW_REFERENCES.values(),
            "saved_queries": await self._threads.run(self._saved.rows, project_id),
            "examples": EXAMPLES,
            "max_name_characters": MAX_NAME_CHARACTERS,
            "max_query_characters": self._services.settings.sql_max_query_bytes,
        }
        return await self._page.render(request, visitor, content, problem=problem)

    async def _run(self, project_id: str, sql: str, chart: str) -> dict[str, Any]:
        if len(sql) > self._services.settings.sql_max_query_bytes:
            raise Problem(422, "invalid_field", "the query is too long", "shorten it")
        body = await self._services.sql_threads.run(project_id, self._queries.first_rows, project_id, sql, MAX_ROWS + 1)
        return page_result(body, chart)
