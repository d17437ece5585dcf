"""The page of a definition's backfills: what one would cost, how far each is."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from phospho_dashboard.annotations.annotations import author
from phospho_dashboard.auth.access import Access
from phospho_dashboard.auth.visitors import Visitor
from phospho_dashboard.definitions.backfills import BackfillDesk
from phospho_dashboard.definitions.definitions import versions_of
from phospho_dashboard.layout.frames import frame_of
from phospho_dashboard.services import Services
from phospho_dashboard.web.forms import Form
from phospho_dashboard.web.rendering import page_response, paged
from phospho_dashboard.web.urls import with_query
from phospho_schemas.times import parsed_time
from phospho_web.problems import Problem
from phospho_web.responses import json_response, with_json_errors

_PATH = "/definitions/backfill"
_DAY = timedelta(days=1)


def backfill_routes(services: Services) -> list[Route]:
    """Return the routes of backfills. A definition's name, which may be any text, is a parameter and not a path."""
    pages = BackfillPages(services)
    return [
        Route(_PATH, paged(pages.page)),
        Route(f"{_PATH}.json", with_json_errors(pages.twin)),
        Route(_PATH, paged(pages.start), methods=["POST"]),
        Route(f"{_PATH}/cancel", paged(pages.cancel), methods=["POST"]),
    ]


class BackfillPages:
    """The page, its twin and its forms. Project and name stand in the query, of the forms too."""

    def __init__(self, services: Services) -> None:
        self._base_url = services.settings.base_url
        self._registry = services.registry
        self._threads = services.threads
        # Detection on hundreds of tasks takes seconds: it may not hold up who waits for a page.
        self._slow_threads = services.slow_threads
        self._access = Access(services)
        self._desk = BackfillDesk(services.registry, services.tools)

    async def page(self, request: Request) -> Response:
        return await self._shown(request, await self._access.of_page(request))

    async def twin(self, request: Request) -> Response:
        visitor = await self._access.of_page(request)
        return json_response(await self._content(await self._project_id(request, visitor), _name(request)))

    async def start(self, request: Request) -> Response:
        """Start a backfill, or, where the form asks for it, say what it would cost."""
        visitor, form = await self._access.of_form(request)
        project_id, name = await self._project_id(request, visitor), _name(request)
        typed = {"from": form.text("from"), "to": form.text("to")}
        try:
            span = _span(form)
            if form.text("do") == "estimate":
                estimate = await self._slow_threads.run(self._desk.estimate, project_id, name, *span)
                return await self._shown(request, visitor, typed=typed, estimate=estimate)
            await self._threads.run(self._desk.start, project_id, name, *span, author(visitor))
        except Problem as problem:
            if problem.status == 404:
                raise
            return await self._shown(request, visitor, typed=typed, problem=problem)
        return _back(project_id, name)

    async def cancel(self, request: Request) -> Response:
        visitor, form = await self._access.of_form(request)
        project_id = await self._project_id(request, visitor)
        await self._threads.run(self._desk.cancel, project_id, form.text("backfill_id"))
        return _back(project_id, _name(request))

    async def _project_id(self, request: Request, visitor: Visitor) -> str:
        return await self._access.project_id(visitor, request.query_params.get("project") or None)

    async def _content(self, project_id: str, name: str) -> dict[str, Any]:
        latest = (await self._threads.run(versions_of, self._registry, project_id, name))[0]
        backfills = await self._threads.run(self._desk.of_event, project_id, name)
        version = None if latest.is_deleted else latest.version
        return {"project_id": project_id, "name": name, "version": version, "backfills": backfills}

    async def _shown(
        self,
        request: Request,
        visitor: Visitor,
        *,
        typed: dict[str, str] | None = None,
        estimate: dict[str, Any] | None = None,
        problem: Problem | None = None,
    ) -> Response:
        project_id = await self._project_id(request, visitor)
        content = await self._content(project_id, _name(request))
        projects = await self._access.projects(visitor)
        around = {
            "frame": frame_of("events", visitor, project_id, projects, self._base_url, {}),
            "typed": typed or {"from": "", "to": ""},
            "estimate": estimate,
            "problem": problem,
        }
        return page_response("definitions/backfill.html", around | content, 200 if problem is None else problem.status)


def _name(request: Request) -> str:
    return request.query_params.get("name", "")


def _back(project_id: str, name: str) -> Response:
    return RedirectResponse(with_query(_PATH, {"project": project_id, "name": name}), 303)


def _span(form: Form) -> tuple[datetime | None, datetime | None]:
    """Return from when to before when a form means: its days are those of UTC, the last one included."""
    first, last = _day(form.text("from")), _day(form.text("to"))
    if first is not None and last is not None and last < first:
        raise Problem(422, "invalid_field", "the last day is before the first one")
    return first, None if last is None else last + _DAY


def _day(text: str) -> datetime | None:
    if not text:
        return None
    day = parsed_time(text) if len(text) == len("2026-01-31") else None
    if day is None or day.year >= 9999:
        raise Problem(422, "invalid_field", "a day is written such as 2026-01-31")
    return day
