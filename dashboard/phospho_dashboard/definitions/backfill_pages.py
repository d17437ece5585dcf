"""The page of a definition's backfills: an estimate of a new one, and the progress of each."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute

from phospho_dashboard.auth.visitors import Visitor
from phospho_dashboard.definitions.backfills import Backfills, TimeRange
from phospho_dashboard.definitions.detection import Detection
from phospho_dashboard.definitions.versions import versions_of
from phospho_dashboard.endpoints import Endpoints
from phospho_dashboard.layout.pages import ProjectPage
from phospho_dashboard.services import Services
from phospho_dashboard.web.forms import Form
from phospho_dashboard.web.routes import form_route, page_and_twin
from phospho_dashboard.web.urls import with_query
from phospho_schemas.times import parsed_time
from phospho_web.problems import Problem

_PATH = "/definitions/backfill"
_DAY = timedelta(days=1)


class BackfillPages(Endpoints):
    """The page, its twin and its forms. Project and name stand in the query, of the forms too."""

    def __init__(self, services: Services, detection: Detection) -> None:
        super().__init__(services)
        self._backfills = Backfills(services, detection)
        self._page = ProjectPage(services, "events", "definitions/backfill.html")

    def routes(self) -> list[BaseRoute]:
        """Return the routes of backfills. A definition's name, which may be any text, is a parameter and not a path."""
        return [
            *page_and_twin(_PATH, self.read, self.render),
            form_route(_PATH, self.start),
            form_route(f"{_PATH}/cancel", self.cancel),
        ]

    async def read(self, request: Request) -> tuple[Visitor, dict[str, Any]]:
        visitor, project_id = await self._access.page_visitor_and_project(request)
        return visitor, await self._content(project_id, _name(request))

    async def render(
        self,
        request: Request,
        visitor: Visitor,
        content: dict[str, Any],
        *,
        typed: dict[str, str] | None = None,
        estimate: dict[str, Any] | None = None,
        problem: Problem | None = None,
    ) -> Response:
        form = {"typed": typed or {"from": "", "to": ""}, "estimate": estimate}
        return await self._page.render(request, visitor, form | content, problem=problem)

    async def start(self, request: Request) -> Response:
        """Start a backfill, or show an estimate where the form asks for one."""
        visitor, form = await self._access.form_visitor(request)
        project_id, name = await self._access.query_project(request, visitor), _name(request)
        typed = {"from": form.text("from"), "to": form.text("to")}
        try:
            time_range = _time_range(form)
            if form.text("do") == "estimate":
                estimate = await self._slow_threads.run(self._backfills.estimate, project_id, name, time_range)
                content = await self._content(project_id, name)
                return await self.render(request, visitor, content, typed=typed, estimate=estimate)
            await self._threads.run(self._backfills.start, project_id, name, time_range, visitor.author)
        except Problem as problem:
            if problem.status == 404:
                raise
            content = await self._content(project_id, name)
            return await self.render(request, visitor, content, typed=typed, problem=problem)
        return _to_page(project_id, name)

    async def cancel(self, request: Request) -> Response:
        visitor, form = await self._access.form_visitor(request)
        project_id = await self._access.query_project(request, visitor)
        await self._threads.run(self._backfills.cancel, project_id, form.text("backfill_id"))
        return _to_page(project_id, _name(request))

    async def _content(self, project_id: str, name: str) -> dict[str, Any]:
        latest = (await self._threads.run(versions_of, self._registry, project_id, name))[0]
        backfills = await self._threads.run(self._backfills.of_event, project_id, name)
        version = None if latest.is_deleted else latest.version
        return {"project_id": project_id, "name": name, "version": version, "backfills": backfills}


def _name(request: Request) -> str:
    return request.query_params.get("name", "")


def _to_page(project_id: str, name: str) -> Response:
    return RedirectResponse(with_query(_PATH, {"project": project_id, "name": name}), 303)


def _time_range(form: Form) -> TimeRange:
    """Return the time range of a form; its days are those of UTC, the last one included."""
    first, last = _day(form.text("from")), _day(form.text("to"))
    if first is not None and last is not None and last < first:
        raise Problem(422, "invalid_field", "the last day is before the first one")
    return TimeRange(first, None if last is None else last + _DAY)


def _day(text: str) -> datetime | None:
    if not text:
        return None
    day = parsed_time(text) if len(text) == len("2026-01-31") else None
    if day is None or day.year >= 9999:
        raise Problem(422, "invalid_field", "a day is written such as 2026-01-31")
    return day
