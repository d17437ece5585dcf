"""
A page, its JSON twin and the API's endpoint, out of one function.

A view reads its content once: a dictionary of JSON values. The twin is that dictionary; the page is a template of it,
inside the frame and under the filters. A twin may also be read with an API key, as a bearer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from phospho_dashboard.access import Access
from phospho_dashboard.answers import answered, json_response
from phospho_store.cursors import decoded_cursor, page_limit
from phospho_dashboard.filters import Filters, Scope
from phospho_dashboard.frames import frame_of
from phospho_dashboard.kept import Kept
from phospho_dashboard.periods import PERIODS, Extent, chosen_period, span_of
from phospho_dashboard.queries.extent import Extents
from phospho_dashboard.queries.facets import Facets
from phospho_dashboard.rendering import page_response, paged
from phospho_dashboard.services import Services
from phospho_dashboard.times import iso_time
from phospho_dashboard.urls import asks_for_twin, item_path, twin_of, with_query, without_twin
from phospho_schemas.errors import Problem

_FACETS_TTL_S = 15.0
_FILTER_NAMES = frozenset(field.name for field in fields(Filters))


@dataclass(frozen=True)
class Asked:
    """
    What a request asks of a view.

    `scope` are the tasks that it is about, `period` the name of its time where it has one, `extent` the times of the
    whole project; `item_id` is the id at the end of the path of one item. `query` is what else the URL says.
    """

    scope: Scope
    period: str
    extent: Extent
    now_ms: int
    item_id: str
    query: Mapping[str, str]
    columns: tuple[str, ...]

    @property
    def project_id(self) -> str:
        return self.scope.project_id

    def url(self, path: str, item_id: str = "", **changes: str | None) -> str:
        """
        Return a link that keeps the project and the filters of this request, after `changes`.

        A change is of a filter, by its name in Filters, or another parameter; an empty one is left out.
        """
        of_filters = {name: value or "" for name, value in changes.items() if name in _FILTER_NAMES}
        others = {name: value for name, value in changes.items() if name not in _FILTER_NAMES}
        query = {"project": self.project_id, **self.scope.filters.query(**of_filters), **others}
        return with_query(item_path(path, item_id) if item_id else path, query)

    def sort(self, sorts: Mapping[str, Any]) -> str:
        """Return by which of `sorts` a list is sorted, the first one where none is named; Problem 400 for another."""
        chosen = self.query.get("sort") or next(iter(sorts))
        if chosen not in sorts:
            raise Problem(400, "invalid_sort", "a list can't be sorted by this", f"one of: {', '.join(sorts)}")
        return chosen

    def cursor(self) -> tuple[int, str] | None:
        """Return where a page of a list starts; Problem 400 for what is no cursor."""
        return decoded_cursor(self.query.get("cursor"))

    def limit(self) -> int:
        """Return how many rows a page of a list has; Problem 400."""
        return page_limit(self.query.get("limit"))


@dataclass(frozen=True)
class View:
    """
    One page: its entry of the navigation, its path, its template, and what it reads.

    `read` is blocking, and raises Problem; what it returns is the twin. `has_items` makes it the page of one item,
    whose id follows the path. `shown` is what the template needs beside the content. `api_path` is where the API has
    it, below /api/v1, where that is not the page's own path.
    """

    page: str
    path: str
    template: str
    read: Callable[[Asked], dict[str, Any]]
    has_items: bool = False
    api_path: str = ""
    shown: Callable[[Asked, dict[str, Any]], dict[str, Any]] = lambda _asked, _content: {}


class ViewEndpoints:
    """The endpoints of views."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._access = Access(services)
        self._extents = Extents(services.store)
        self._choices = Kept(Facets(services.store).choices, ttl_s=_FACETS_TTL_S)

    def routes(self, view: View) -> list[BaseRoute]:
        """Return the routes of a page and of its twin."""

        async def page(request: Request) -> Response:
            return await self._page(view, request)

        async def twin(request: Request) -> Response:
            return await self._twin(view, request)

        async def page_or_twin(request: Request) -> Response:
            is_twin = asks_for_twin(request.path_params["item_id"], request.query_params)
            return await (answered(twin) if is_twin else paged(page))(request)

        if view.has_items:
            return [Route(f"{view.path}/{{item_id:any_text}}", page_or_twin)]
        return [Route(twin_of(view.path, {}), answered(twin)), Route(view.path, paged(page))]

    def api_route(self, view: View) -> BaseRoute:
        """Return the route of the API: the twin, of the project that the key or the header names."""

        async def endpoint(request: Request) -> Response:
            project_id = await self._access.of_api_project(request)
            return await self._content(view, request, project_id, request.path_params.get("item_id", ""))

        path = f"/api/v1{view.api_path or view.path}"
        return Route(f"{path}/{{item_id:any_text}}" if view.has_items else path, answered(endpoint))

    async def _twin(self, view: View, request: Request) -> Response:
        principal = await self._access.of_page(request)
        project_id = await self._access.project_id(principal, request.query_params.get("project") or None)
        return await self._content(view, request, project_id, without_twin(request.path_params.get("item_id", "")))

    async def _content(self, view: View, request: Request, project_id: str, item_id: str) -> Response:
        def read() -> dict[str, Any]:
            asked = self._asked(request, project_id, item_id)
            return _described(asked) | view.read(asked)

        return json_response(await self._services.threads.run(read))

    async def _page(self, view: View, request: Request) -> Response:
        principal = await self._access.of_page(request)
        project_id = await self._access.project_id(principal, request.query_params.get("project") or None)
        projects = await self._access.projects(principal)

        def read() -> dict[str, Any]:
            asked = self._asked(request, project_id, request.path_params.get("item_id", ""))
            content = view.read(asked)
            kept = asked.scope.filters.query()
            frame = frame_of(view.page, project_id, projects, self._services.settings.base_url, kept)
            path = item_path(view.path, asked.item_id) if view.has_items else view.path
            around = {
                "frame": frame,
                "asked": asked,
                "filters": asked.scope.filters,
                "choices": self._choices.get(project_id),
                "periods": {name: label for name, (label, _) in PERIODS.items()},
                "page_path": path,
                "json_path": twin_of(path, {**request.query_params, "project": project_id}),
            }
            return around | content | view.shown(asked, content)

        return page_response(view.template, await self._services.threads.run(read))

    def _asked(self, request: Request, project_id: str, item_id: str) -> Asked:
        now_ms = time.time_ns() // 1_000_000
        filters = Filters.from_query(request.query_params)
        own_span = filters.span()
        extent = self._extents.extent(project_id)
        period = "" if own_span else chosen_period(filters.period, extent, now_ms)
        has_labels = self._extents.has_labels(project_id)
        scope = Scope(project_id, filters, own_span or span_of(period, now_ms), has_labels)
        columns = [name for text in request.query_params.getlist("columns") for name in text.split(",") if name]
        return Asked(scope, period, extent, now_ms, item_id, request.query_params, tuple(columns))


def _described(asked: Asked) -> dict[str, Any]:
    """Return what a twin says of its scope."""
    span = asked.scope.span
    return {
        "project_id": asked.project_id,
        "period": asked.period,
        "from": iso_time(span.start_ms) if span.start_ms is not None else None,
        "to": iso_time(span.end_ms) if span.end_ms is not None else None,
        "filters": asked.scope.filters.narrowing(),
    }
