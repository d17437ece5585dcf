"""The endpoints of views: the page, its JSON twin and the endpoint of the API, out of one function."""

from __future__ import annotations

import hashlib
import secrets
import time
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from phospho_dashboard.auth.visitors import Visitor
from phospho_dashboard.layout.pages import Frame
from phospho_dashboard.layout.views import Content, View, ViewRequest, ViewRequestReader
from phospho_dashboard.queries.extent import Extents
from phospho_dashboard.queries.facets import MAX_VALUES, Facets
from phospho_dashboard.queries.periods import PERIODS
from phospho_dashboard.queries.zones import ZONE_COOKIE
from phospho_dashboard.services import Services
from phospho_dashboard.web.cache import TimedCache
from phospho_dashboard.web.rendering import page_response, path_of
from phospho_dashboard.web.routes import twin_route, with_error_pages
from phospho_dashboard.web.transfer import STATE_HEADER, has_state
from phospho_dashboard.web.urls import is_twin_request, item_path, twin_url, without_twin_ending
from phospho_store.sql import compose
from phospho_web.responses import json_response, with_json_errors

# Each insert, mutation and merge changes it; of all projects, but it costs one small query.
_STORED = """
SELECT groupBitXor(sipHash64(table, name)) AS state FROM $parts WHERE database = currentDatabase() AND active
"""
_FACETS_TTL_S = 15.0
# Facets are read from the whole project.
_FACETS_TTL_OF_DURATION = 30


class ViewEndpoints:
    """The endpoints of views."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._access = services.access
        # Another server may write its pages otherwise.
        self._started = secrets.token_hex(8)
        self._reader = ViewRequestReader(services.store, services.registry)
        self._facets = Facets(services.store)
        self._outside = TimedCache(
            Extents(services.store).tasks_outside, ttl_s=_FACETS_TTL_S, ttl_of_duration=_FACETS_TTL_OF_DURATION
        )
        self._choices = TimedCache(self._facets.choices, ttl_s=_FACETS_TTL_S, ttl_of_duration=_FACETS_TTL_OF_DURATION)

    def page_routes(self, view: View) -> list[BaseRoute]:
        """Return the routes of a page and of its twin."""

        async def page(request: Request) -> Response:
            return await self._page(view, request)

        async def twin(request: Request) -> Response:
            return await self._twin(view, request)

        async def page_or_twin(request: Request) -> Response:
            is_twin = is_twin_request(request.path_params["item_id"], request.query_params)
            return await (with_json_errors(twin) if is_twin else with_error_pages(page))(request)

        if view.is_item:
            return [Route(f"{view.path}/{{item_id:any_text}}", page_or_twin)]
        return [Route(twin_url(view.path, {}), with_json_errors(twin)), Route(view.path, with_error_pages(page))]

    def filter_values_route(self) -> BaseRoute:
        """Return the route of the values of a filter that contain a text, for the filters of pages."""
        return twin_route("/filter-values", self._filter_values, ("filter", "text"))

    async def _filter_values(self, request: Request) -> Response:
        _, project_id = await self._access.page_visitor_and_project(request)
        name, text = request.query_params.get("filter", ""), request.query_params.get("text", "")[:512]
        values = await self._services.threads.run(self._facets.search, project_id, name, text)
        return json_response({"values": values})

    def api_route(self, view: View) -> BaseRoute:
        """Return the route of the API: the twin, of the project that the key or the header names."""

        async def endpoint(request: Request) -> Response:
            visitor, project_id = await self._access.api_visitor_and_project(request)
            item_id = request.path_params.get("item_id", "")
            return await self._json(view, request, visitor, project_id=project_id, item_id=item_id)

        path = f"/api/v1{view.api_path or view.path}"
        return Route(f"{path}/{{item_id:any_text}}" if view.is_item else path, with_json_errors(endpoint))

    async def _twin(self, view: View, request: Request) -> Response:
        visitor, project_id = await self._access.page_visitor_and_project(request)
        item_id = without_twin_ending(request.path_params.get("item_id", ""))
        return await self._json(view, request, visitor, project_id=project_id, item_id=item_id)

    async def _json(self, view: View, request: Request, visitor: Visitor, *, project_id: str, item_id: str) -> Response:
        def read() -> Content:
            view_request = self._reader.read(request, visitor, project_id, item_id, parameters=view.parameters)
            return view_request.described() | view.read(view_request)

        return json_response(await self._services.threads.run(read))

    async def _page(self, view: View, request: Request) -> Response:
        visitor, project_id = await self._access.page_visitor_and_project(request)
        state = await self._services.threads.run(self._state, request, visitor)
        if tag := has_state(request.headers.get("if-none-match", ""), state):
            return Response(status_code=304, headers={"ETag": tag})
        projects, base_url = await self._access.projects(visitor), self._services.settings.base_url

        def read() -> Content:
            item_id = request.path_params.get("item_id", "")
            parameters = (*view.parameters, *view.page_parameters)
            view_request = self._reader.read(request, visitor, project_id, item_id, parameters=parameters)
            view_request = replace(view_request, is_page=True)
            content = view.read(view_request)
            surroundings = self._surroundings(view, request, view_request)
            filters = view_request.scope.filters.query()
            surroundings["frame"] = Frame(
                view.section, visitor, project_id, projects, base_url=base_url, zone=view_request.zone, filters=filters
            )
            return surroundings | content | view.page_extras(view_request, content)

        content = await self._services.threads.run(read)
        return page_response(view.template, content, headers={STATE_HEADER: state})

    def _state(self, request: Request, visitor: Visitor) -> str:
        """Return a digest of all that a page is made of: the store, the request, the visitor and the minute."""
        store = self._services.store
        [stored] = store.rows(compose(_STORED, parts=store.parts), {})
        minute = time.time_ns() // 60_000_000_000
        parts = (self._started, stored["state"], path_of(request), request.cookies.get(ZONE_COOKIE, ""), minute)
        person = (visitor.name, str(visitor.roles), visitor.form_token)
        return hashlib.blake2b(repr((*parts, *person)).encode(), digest_size=8).hexdigest()

    def _tasks_outside(self, request: ViewRequest) -> dict[str, int] | None:
        """Return how many tasks are older and newer than the span; None where filters hide others too."""
        span, extent = request.scope.span, request.extent
        if request.scope.filters.narrowing() or extent.first_ms is None or extent.last_ms is None:
            return None
        is_older = span.start_ms is not None and extent.first_ms < span.start_ms
        is_newer = span.end_ms is not None and extent.last_ms >= span.end_ms
        return self._outside.get((request.project_id, span)) if is_older or is_newer else None

    def _surroundings(self, view: View, request: Request, view_request: ViewRequest) -> Content:
        """Return what the templates of all views show around their content."""
        path = item_path(view.path, view_request.item_id) if view.is_item else view.path
        query = {name: value for name, value in request.query_params.items() if name not in view.page_parameters}
        return {
            "view": view_request,
            "filters": view_request.scope.filters,
            "choices": self._choices.get(view_request.project_id),
            "theme_titles": self._facets.themes(view_request.project_id),
            "most_choices": MAX_VALUES,
            "tasks_outside": self._tasks_outside(view_request),
            "periods": {name: label for name, (label, _) in PERIODS.items()},
            "page_path": path,
            "here": path_of(request),
            "json_path": twin_url(path, {**query, "project": view_request.project_id}),
        }
