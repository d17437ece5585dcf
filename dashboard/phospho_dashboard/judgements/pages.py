"""The page of judgements: their cost, day by day, and the rest of today's budget."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from phospho_dashboard.endpoints import Endpoints
from phospho_dashboard.judgements.usage import JudgementUsage
from phospho_dashboard.layout.settings_page import SettingsPage
from phospho_dashboard.services import Services
from phospho_dashboard.web.routes import page_route, twin_route
from phospho_schemas.times import utc_now
from phospho_web.responses import json_response

_PATH = "/settings/judgements"
SHOWN_DAYS = 30


def judgement_page_routes(services: Services) -> list[BaseRoute]:
    """Return the routes of judgements."""
    pages = JudgementPages(services)
    return [page_route(_PATH, pages.page), twin_route(_PATH, pages.twin)]


class JudgementPages(Endpoints):
    """The page and its twin."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._usage = JudgementUsage(services.store, services.registry)
        self._page = SettingsPage(services, "judgements", "judgements/usage.html")

    async def page(self, request: Request) -> Response:
        visitor, project_id = await self._access.page_visitor_and_project(request)
        content = await self._content(project_id)
        over_time = usage_by_day(content["days"], utc_now().date())
        return await self._page.render(request, visitor, content | {"over_time": over_time})

    async def twin(self, request: Request) -> Response:
        _, project_id = await self._access.page_visitor_and_project(request)
        return json_response(await self._content(project_id))

    async def _content(self, project_id: str) -> dict[str, Any]:
        return {"project_id": project_id} | await self._threads.run(self._usage.read, project_id, SHOWN_DAYS)


def usage_by_day(rows: Sequence[dict[str, Any]], today: date) -> list[dict[str, Any]]:
    """Return a row for each of the last SHOWN_DAYS days, the models of a day together, the oldest first."""
    days: dict[str, dict[str, Any]] = {}
    for days_ago in reversed(range(SHOWN_DAYS)):
        day = str(today - timedelta(days=days_ago))
        days[day] = {"day": day, "calls": 0, "tokens": 0, "usd": 0.0}
    for row in rows:
        day_row = days.get(row["day"])
        if day_row is not None:
            day_row["calls"] += row["calls"]
            day_row["tokens"] += row["tokens_in"] + row["tokens_out"]
            day_row["usd"] += row["usd"]
    return list(days.values())
