"""The page of Explore, its twin and endpoint, and its file of CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from phospho_dashboard.explore.charts import CHART_NAMES, CHARTS, Chart
from phospho_dashboard.explore.explore import Explore
from phospho_dashboard.layout.views import Content, View, ViewRequest, ViewRequestReader
from phospho_dashboard.queries.intervals import INTERVALS
from phospho_dashboard.services import Endpoints, Services
from phospho_dashboard.web.rendering import pretty_json
from phospho_store.registry.boards import BoardRepository
from phospho_store.sql.metrics import DIMENSIONS, METRICS
from phospho_web.responses import with_json_errors

_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r", "\n")


class ExplorePage:
    """The view of Explore."""

    def __init__(self, services: Services) -> None:
        self._explore = Explore(services.store, services.settings.prices)
        self._boards = BoardRepository(services.store, services.clock)

    def views(self) -> list[View]:
        return [
            View(
                "explore",
                "/explore",
                "explore/explore.html",
                self.read,
                page_extras=self._extras,
                parameters=CHART_NAMES,
            )
        ]

    def read(self, request: ViewRequest) -> Content:
        return self._explore.read(request, Chart.from_query(request.query)) | {"has_tasks": request.has_tasks}

    def _extras(self, request: ViewRequest, content: Content) -> Content:
        chart = Chart.from_query(request.query)
        needs_keys = METRICS[chart.metric].option == "key" or chart.by == "metadata"
        titles = self._explore.titles(request.project_id)
        return {
            "of_url": chart,
            "view_content": content,
            "tasks_of": tasks_behind(request, chart),
            "explored_title": chart_title(chart, titles),
            "tile_query": urlencode(chart.query() | request.scope.filters.query()),
            "metrics": METRICS,
            "dimensions": DIMENSIONS,
            "forms_of_charts": CHARTS,
            "intervals": {name: label for name, (label, _) in INTERVALS.items()},
            "about_kind": METRICS[chart.metric].option,
            "metadata_keys": self._explore.metadata_keys(request.project_id) if needs_keys else [],
            "kept_query": chart.query(),
            "grafana_json": pretty_json(content["grafana"]),
            "boards": self._boards.boards(request.project_id),
        }


def chart_title(chart: Chart, titles: Mapping[str, str]) -> str:
    """Return a title that says what a chart shows; `titles` are those of themes."""
    about = titles.get(chart.about, chart.about) if METRICS[chart.metric].option == "theme" else chart.about
    by = (
        f"metadata {chart.by_key}" if chart.by == "metadata" else DIMENSIONS[chart.by].label.lower() if chart.by else ""
    )
    return METRICS[chart.metric].label + (f": {about}" if about else "") + (f" by {by}" if by else "")


def tasks_behind(request: ViewRequest, chart: Chart) -> Callable[[str | None], dict[str, str] | None]:
    """Return the function of a value that returns the filters of its tasks, None where no link has just those."""
    filters = request.scope.filters.narrowing()

    def tasks_of(value: str | None) -> dict[str, str] | None:
        narrowing = chart.narrowing(value)
        if narrowing is None or any(filters.get(name, new) != new for name, new in narrowing.items()):
            return None
        return narrowing

    return tasks_of


class ExploreCsv(Endpoints):
    """The endpoint of the file."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._reader = ViewRequestReader(services.store, services.registry)
        self._explore = Explore(services.store, services.settings.prices)

    def routes(self) -> list[BaseRoute]:
        """Return the route of the file."""
        return [Route("/explore.csv", with_json_errors(self.file))]

    async def file(self, request: Request) -> Response:
        visitor, project_id = await self._access.page_visitor_and_project(request)

        def read() -> str:
            view_request = self._reader.read(request, visitor, project_id, parameters=CHART_NAMES)
            content = self._explore.read(view_request, Chart.from_query(view_request.query))
            text = io.StringIO()
            csv.writer(text).writerows(_csv_rows(content))
            return text.getvalue()

        headers = {
            "Cache-Control": "no-store",
            "Content-Disposition": 'attachment; filename="explore.csv"',
            "X-Content-Type-Options": "nosniff",
        }
        text = await self._threads.run(read)
        return Response(text, headers=headers, media_type="text/csv; charset=utf-8; header=present")


def _csv_rows(content: Content) -> Iterator[list[object]]:
    """Yield a row a time and value, else a row a value, else the total."""
    metric = content["metric"]["name"]
    if content["over_time"]:
        yield ["start_at", "end_at", "value", metric, "cases"]
        for point in content["over_time"]:
            for series, number, cases in zip(content["series"], point["numbers"], point["cases"], strict=True):
                yield [point["start_at"], point["end_at"], _cell(series["label"]), number, cases]
    elif content["rows"]:
        yield ["value", metric, "cases"]
        for part in content["rows"]:
            yield [_cell(part["label"]), part["number"], part["cases"]]
    else:
        yield [metric, "cases"]
        yield list((content["total"] or {"number": None, "cases": 0}).values())


def _cell(text: str) -> str:
    """Return a text that no spreadsheet runs as a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text
