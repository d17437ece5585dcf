"""The endpoints of saved views: of the API, and of the forms on the lists."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute

from phospho_dashboard.saved_views.saved import PAGES, SavedViews, public_view, view_path
from phospho_dashboard.services import ROWS, ApiEndpoints, Endpoints, Services
from phospho_dashboard.web.routes import form_route
from phospho_dashboard.web.urls import with_query
from phospho_schemas.rows.saved import MAX_NAME_CHARACTERS, MAX_QUERY_CHARACTERS
from phospho_web.endpoints import api_endpoint
from phospho_web.openapi import ANY_OBJECT, TEXT, list_of, object_schema
from phospho_web.requests import text_field
from phospho_web.responses import json_response


class SavedViewsApi(ApiEndpoints):
    """The endpoints of saved views."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._saved = SavedViews(services)

    @api_endpoint("get", "/saved-views", "List saved views of lists", list_of("saved_views", ROWS["items"]))
    async def views(self, request: Request) -> Response:
        project_id = await self._access.api_project(request, "viewer")
        return json_response({"saved_views": await self._threads.run(self._saved.rows, project_id)})

    @api_endpoint(
        "post",
        "/saved-views",
        "Save the filters of a list, in place of the view of the same name",
        object_schema(["saved_view"], saved_view=ANY_OBJECT),
        description="`query` is that of the list's address; filters, `sort` and `columns` of it are kept.",
        body=object_schema(
            ["page", "name", "query"],
            page={"enum": list(PAGES)},
            name=TEXT | {"minLength": 1, "maxLength": MAX_NAME_CHARACTERS},
            query=TEXT | {"maxLength": MAX_QUERY_CHARACTERS},
        ),
    )
    async def save(self, request: Request) -> Response:
        visitor, project_id = await self._access.api_visitor_and_project(request, "editor")
        content = await self._body(request)
        saved = await self._threads.run(
            self._saved.save,
            project_id,
            page=text_field(content, "page"),
            name=text_field(content, "name", max_length=MAX_NAME_CHARACTERS).strip(),
            query=text_field(content, "query", max_length=MAX_QUERY_CHARACTERS),
            author=visitor.author,
        )
        return json_response({"saved_view": public_view(saved)})

    @api_endpoint("delete", "/saved-views/{view_id}", "Remove a saved view", None, status=204)
    async def remove(self, request: Request) -> Response:
        project_id = await self._access.api_project(request, "editor")
        await self._threads.run(self._saved.remove, project_id, request.path_params["view_id"])
        return Response(status_code=204)


class SavedViewForms(Endpoints):
    """The forms beside a list."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._saved = SavedViews(services)

    def routes(self) -> list[BaseRoute]:
        """Return the routes of the forms."""
        return [form_route("/saved-views/save", self.save), form_route("/saved-views/remove", self.remove)]

    async def save(self, request: Request) -> Response:
        visitor, project_id, form = await self._access.form_visitor_and_project(request, "editor")
        view = await self._threads.run(
            self._saved.save,
            project_id,
            page=form.text("page"),
            name=form.text("name", MAX_NAME_CHARACTERS),
            query=form.text("query", MAX_QUERY_CHARACTERS),
            author=visitor.author,
        )
        return RedirectResponse(view_path(view), 303)

    async def remove(self, request: Request) -> Response:
        _, project_id, form = await self._access.form_visitor_and_project(request, "editor")
        view = await self._threads.run(self._saved.remove, project_id, form.text("view_id"))
        return RedirectResponse(with_query(f"/{view.page}", {"project": project_id}), 303)
