"""
A page, its JSON twin and the API's endpoint, out of one function.

A view reads its content once: a dictionary of JSON values. The twin is that dictionary; the page is a template of it,
inside the frame and under the filters. A twin may also be read with an API key, as a bearer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from phospho_dashboard.auth.access import Access
from phospho_dashboard.auth.visitors import Visitor
from phospho_dashboard.layout.frames import frame_of
from phospho_dashboard.layout.page_request import Asked, Asking
from phospho_dashboard.queries.facets import Facets
from phospho_dashboard.queries.periods import PERIODS
from phospho_dashboard.services import Services
from phospho_dashboard.web.cache import Kept
from phospho_dashboard.web.rendering import page_response, paged, path_of
from phospho_dashboard.web.urls import asks_for_twin, item_path, twin_of, without_twin
from phospho_web.responses import json_response, with_json_errors

_FACETS_TTL_S = 15.0
# Choices are read of the whole project.
_FACETS_TTL_OF_DURATION = 30


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
        self._asking = Asking(services)
        self._choices = Kept(
            Facets(services.store).choices, ttl_s=_FACETS_TTL_S, ttl_of_duration=_FACETS_TTL_OF_DURATION
        )

    def routes(self, view: View) -> list[BaseRoute]:
        """Return the routes of a page and of its twin."""

        async def page(request: Request) -> Response:
            return await self._page(view, request)

        async def twin(request: Request) -> Response:
            return await self._twin(view, request)

        async def page_or_twin(request: Request) -> Response:
            is_twin = asks_for_twin(request.path_params["item_id"], request.query_params)
            return await (with_json_errors(twin) if is_twin else paged(page))(request)

        if view.has_items:
            return [Route(f"{view.path}/{{item_id:any_text}}", page_or_twin)]
        return [Route(twin_of(view.path, {}), with_json_errors(twin)), Route(view.path, paged(page))]

    def api_route(self, view: View) -> BaseRoute:
        """Return the route of the API: the twin, of the project that the key or the header names."""

        async def endpoint(request: Request) -> Response:
            visitor, project_id = await self._asking.of_api(request)
            return await self._content(view, request, visitor, project_id, request.path_params.get("item_id", ""))

        path = f"/api/v1{view.api_path or view.path}"
        return Route(f"{path}/{{item_id:any_text}}" if view.has_items else path, with_json_errors(endpoint))

    async def _twin(self, view: View, request: Request) -> Response:
        visitor, project_id = await self._asking.of_page(request)
        item_id = without_twin(request.path_params.get("item_id", ""))
        return await self._content(view, request, visitor, project_id, item_id)

    async def _content(self, view: View, request: Request, visitor: Visitor, project_id: str, item_id: str) -> Response:
        def read() -> dict[str, Any]:
            asked = self._asking.asked(request, visitor, project_id, item_id)
            return asked.described() | view.read(asked)

        return json_response(await self._services.threads.run(read))

    async def _page(self, view: View, request: Request) -> Response:
        visitor, project_id = await self._asking.of_page(request)
        projects = await self._access.projects(visitor)

        def read() -> dict[str, Any]:
            asked = self._asking.asked(request, visitor, project_id, request.path_params.get("item_id", ""))
            content = view.read(asked)
            kept = asked.scope.filters.query()
            frame = frame_of(view.page, visitor, project_id, projects, self._services.settings.base_url, kept)
            path = item_path(view.path, asked.item_id) if view.has_items else view.path
            around = {
                "frame": frame,
                "asked": asked,
                "filters": asked.scope.filters,
                "choices": self._choices.get(project_id),
                "periods": {name: label for name, (label, _) in PERIODS.items()},
                "page_path": path,
                "here": path_of(request),
                "json_path": twin_of(path, {**request.query_params, "project": project_id}),
            }
            return around | content | view.shown(asked, content)

        return page_response(view.template, await self._services.threads.run(read))
