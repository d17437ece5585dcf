"""What a request asks: who it is, of which project, and which of its tasks."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from starlette.requests import Request

from phospho_dashboard.auth.access import Access
from phospho_dashboard.auth.visitors import Visitor
from phospho_dashboard.dead_letters.api import readable_projects
from phospho_dashboard.queries.extent import Extents
from phospho_dashboard.queries.filters import Filters, Scope
from phospho_dashboard.queries.periods import Extent, chosen_period, span_of
from phospho_dashboard.services import Services
from phospho_dashboard.web.times import iso_time
from phospho_dashboard.web.urls import item_path, with_query
from phospho_store.cursors import decoded_cursor, page_limit
from phospho_web.problems import Problem

_FILTER_NAMES = frozenset(field.name for field in fields(Filters))


@dataclass(frozen=True)
class Asked:
    """
    What a request asks of a view.

    `scope` are the tasks that it is about, `period` the name of its time where it has one, `extent` the times of the
    whole project; `item_id` is the id at the end of the path of one item. `query` is what else the URL says.
    `letters_of` are the projects whose dead letters may be counted: this one, and "" for an administrator.
    """

    scope: Scope
    period: str
    extent: Extent
    now_ms: int
    item_id: str
    query: Mapping[str, str]
    columns: tuple[str, ...]
    letters_of: tuple[str, ...]

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

    def described(self) -> dict[str, Any]:
        """Return what a twin says of its scope."""
        span = self.scope.span
        return {
            "project_id": self.project_id,
            "period": self.period,
            "from": iso_time(span.start_ms) if span.start_ms is not None else None,
            "to": iso_time(span.end_ms) if span.end_ms is not None else None,
            "filters": self.scope.filters.narrowing(),
        }


class Asking:
    """Reads requests. Each method raises Problem with 400, 401, 403 or 404."""

    def __init__(self, services: Services) -> None:
        self._access = Access(services)
        self._extents = Extents(services.store)

    async def of_page(self, request: Request) -> tuple[Visitor, str]:
        """Return who asks for a page or a twin, and the project that it is about."""
        visitor = await self._access.of_page(request)
        return visitor, await self._access.project_id(visitor, request.query_params.get("project") or None)

    async def of_api(self, request: Request) -> tuple[Visitor, str]:
        """Return who asks for an endpoint of the API, and the project that it is about."""
        return await self._access.of_api_with_project(request)

    def asked(self, request: Request, visitor: Visitor, project_id: str, item_id: str = "") -> Asked:
        """Return what a request asks of a project that it may read. Blocking."""
        now_ms = time.time_ns() // 1_000_000
        filters = Filters.from_query(request.query_params)
        own_span = filters.span()
        extent = self._extents.extent(project_id)
        period = "" if own_span else chosen_period(filters.period, extent, now_ms)
        corrections = self._extents.corrections(project_id)
        scope = Scope(project_id, filters, own_span or span_of(period, now_ms), corrections)
        columns = [name for text in request.query_params.getlist("columns") for name in text.split(",") if name]
        letters_of = tuple(readable_projects(visitor, project_id))
        return Asked(scope, period, extent, now_ms, item_id, request.query_params, tuple(columns), letters_of)
