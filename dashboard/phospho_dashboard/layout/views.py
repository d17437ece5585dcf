"""
Views: a page, its JSON twin and the API's endpoint, out of one function, which reads a request.

A view reads its content once, as a dictionary of JSON values. The twin is that dictionary. The page is a template of
it, inside the frame and under the filters. A twin may also be read with an API key, as a bearer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any
from zoneinfo import ZoneInfo

from starlette.requests import Request

from phospho_dashboard.auth.visitors import Visitor
from phospho_dashboard.queries.extent import Extents
from phospho_dashboard.queries.filters import Filters, Scope, url_names
from phospho_dashboard.queries.periods import Buckets, Extent, buckets_of, chosen_period, span_of
from phospho_dashboard.queries.zones import zone_of
from phospho_dashboard.web.formats import iso_time
from phospho_dashboard.web.urls import item_path, with_query
from phospho_schemas.times import parsed_time
from phospho_store.registry.registry import Registry
from phospho_store.store import Store
from phospho_web.cursors import decoded_cursor, encoded_cursor, page_limit
from phospho_web.problems import Problem
from phospho_web.requests import check_parameters, choices_hint

_FILTER_NAMES = frozenset(field.name for field in fields(Filters))
# The parameters of every view, beside the filters and its own; `as` tells a page from a twin.
_PARAMETERS = ("project", "as")
# The parameters of a list that is sorted and has pages.
PAGING = ("sort", "cursor", "limit")


@dataclass(frozen=True)
class Paging:
    """A page of a sorted list: up to `limit` rows after the cursor `after`."""

    sort: str
    after: tuple[int, str] | None
    limit: int

    def position(self, first: tuple[int, str]) -> dict[str, Any]:
        """Return the parameters of a query of the page, and of one row more; `first` is before every row."""
        before, before_id = self.after or first
        return {"before": before, "before_id": before_id, "limit": self.limit + 1}

    def split(self, rows: list[dict[str, Any]], id_column: str) -> tuple[list[dict[str, Any]], str | None]:
        """Return the rows of the page, sorted by `place` and an id, and the cursor of the next page."""
        page_rows = rows[: self.limit]
        last = page_rows[-1] if len(rows) > self.limit else None
        return page_rows, encoded_cursor(last["place"], last[id_column]) if last else None


@dataclass(frozen=True)
class ViewRequest:
    """
    A request of a view, parsed.

    `scope` are the tasks that it is about, `period` the name of its time where it has one, `extent` the times of the
    whole project, and `zone` its time zone. `item_id` is the id at the end of the path of one item. `query` is the rest
    of the URL. `readable_projects` are the projects whose dead letters may be counted: this one, and "" for an
    administrator. `is_page` tells a page, which cuts long texts, from its twin.
    """

    scope: Scope
    period: str
    extent: Extent
    zone: ZoneInfo
    now_ms: int
    item_id: str
    query: Mapping[str, str]
    columns: tuple[str, ...]
    readable_projects: tuple[str, ...]
    is_page: bool = False

    @property
    def project_id(self) -> str:
        return self.scope.project_id

    @property
    def has_tasks(self) -> bool:
        """True if the project has a task at all; else an empty page says what to do next."""
        return self.extent.last_ms is not None

    def buckets(self) -> Buckets:
        """Return the buckets of the charts over the time of this request."""
        return buckets_of(self.scope.span, self.extent, self.now_ms, self.zone)

    def range_inputs(self) -> list[dict[str, str]]:
        """Return the fields of a time of one's own: days, or times of the zone where the URL has them."""
        filters = self.scope.filters
        given = {"from": ("From", filters.since), "to": ("To", filters.until)}
        return [{"name": name, "label": label, **_time_input(text, self.zone)} for name, (label, text) in given.items()]

    def url(self, path: str, item_id: str = "", **changes: str | None) -> str:
        """
        Return a link that keeps the project and the filters of this request, after `changes`.

        A change is of a filter, by its name in Filters, or another parameter; an empty one is left out.
        """
        filters = {name: value or "" for name, value in changes.items() if name in _FILTER_NAMES}
        parameters = {name: value for name, value in changes.items() if name not in _FILTER_NAMES}
        query = {"project": self.project_id, **self.scope.filters.query(**filters), **parameters}
        return with_query(item_path(path, item_id) if item_id else path, query)

    def sort(self, sorts: Mapping[str, Any]) -> str:
        """Return the requested one of `sorts`, by default the first; Problem 400 for another."""
        sort = self.query.get("sort") or next(iter(sorts))
        if sort not in sorts:
            raise Problem(400, "invalid_sort", f"there is no sort order {sort[:100]!r}", choices_hint(sort, sorts))
        return sort

    def cursor(self) -> tuple[int, str] | None:
        """Return the cursor of the request; Problem 400 for text that is none."""
        return decoded_cursor(self.query.get("cursor"))

    def paging(self, sorts: Mapping[str, Any]) -> Paging:
        """Return the requested page of a list; Problem 400."""
        return Paging(self.sort(sorts), self.cursor(), page_limit(self.query.get("limit")))

    def described(self) -> dict[str, Any]:
        """Return the scope as the twin describes it."""
        span = self.scope.span
        return {
            "project_id": self.project_id,
            "period": self.period,
            "from": iso_time(span.start_ms) if span.start_ms is not None else None,
            "to": iso_time(span.end_ms) if span.end_ms is not None else None,
            "time_zone": self.zone.key,
            "filters": self.scope.filters.narrowing(),
        }


Content = dict[str, Any]
# Return further values for the template of a page, by its request and its content.
PageExtras = Callable[[ViewRequest, Content], Content]


@dataclass(frozen=True)
class View:
    """
    The declaration of a page: its section of the navigation, its path, its template, and its content.

    `read` returns the content, which is the twin. It blocks, and raises Problem. With `is_item` the page shows one
    item, whose id follows the path. `page_extras` returns values for the template that the twin does not have.
    `api_path` is the path below /api/v1, where it is not the page's own. `parameters` are those of its query beside the
    filters, and `page_parameters` further ones that only the page takes.
    """

    section: str
    path: str
    template: str
    read: Callable[[ViewRequest], Content]
    is_item: bool = False
    api_path: str = ""
    page_extras: PageExtras = lambda _request, _content: {}
    parameters: tuple[str, ...] = ()
    page_parameters: tuple[str, ...] = ()


class ViewRequestReader:
    """Parses the requests of views."""

    def __init__(self, store: Store, registry: Registry) -> None:
        self._extents = Extents(store)
        self._registry = registry

    def read(
        self,
        request: Request,
        visitor: Visitor,
        project_id: str,
        item_id: str = "",
        parameters: Sequence[str] = (),
    ) -> ViewRequest:
        """
        Return a request about a project that the visitor may read. Blocking. Raises Problem 400.

        `parameters` may be in its query beside the filters.
        """
        names = [*url_names(), *parameters]
        check_parameters(request.query_params, names, unnamed=_PARAMETERS)
        now_ms = time.time_ns() // 1_000_000
        zone = zone_of(self._registry.project(project_id), request)
        filters = Filters.from_query(request.query_params)
        own_span = filters.span(zone)
        extent = self._extents.extent(project_id)
        period = "" if own_span else chosen_period(filters.period, extent, now_ms)
        corrections = self._extents.corrections(project_id)
        columns = [name for text in request.query_params.getlist("columns") for name in text.split(",") if name]
        return ViewRequest(
            scope=Scope(project_id, filters, own_span or span_of(period, now_ms), corrections),
            period=period,
            extent=extent,
            zone=zone,
            now_ms=now_ms,
            item_id=item_id,
            query=request.query_params,
            columns=tuple(columns),
            readable_projects=tuple(visitor.readable_projects(project_id)),
        )


def _time_input(text: str, zone: ZoneInfo) -> dict[str, str]:
    moment = parsed_time(text, zone)
    if moment is None or len(text) == len("2026-01-31"):
        return {"type": "date", "value": text}
    return {"type": "datetime-local", "value": f"{moment.astimezone(zone):%Y-%m-%dT%H:%M:%S}"}


def sort_labels(sorts: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    """Return the labels of the sorts, for a template."""
    return {"sorts": {name: label for name, (label, _) in sorts.items()}}


def chosen_columns(request: ViewRequest, columns: Mapping[str, str], default: Sequence[str]) -> dict[str, Any]:
    """
    Return the columns of a list, those that are shown, and the query that keeps the choice in links, for a template.

    Raises Problem 400 for an unknown column.
    """
    if unknown := [name for name in request.columns if name not in columns]:
        message = f"there is no column {unknown[0][:100]!r}"
        raise Problem(400, "invalid_columns", message, choices_hint(unknown[0], columns))
    shown_columns = [name for name in columns if name in (request.columns or default)]
    kept_query = {"columns": None if shown_columns == list(default) else ",".join(shown_columns)}
    return {"all_columns": columns, "shown_columns": shown_columns, "kept_query": kept_query}
