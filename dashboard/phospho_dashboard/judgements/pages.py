"""The page of judgements: their cost, day by day, and the rest of today's budget."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from phospho_dashboard.auth.visitors import Visitor
from phospho_dashboard.endpoints import Endpoints
from phospho_dashboard.judgements.api import JudgementUsage
from phospho_dashboard.layout.pages import SettingsPage
from phospho_dashboard.services import Services
from phospho_dashboard.web.routes import page_and_twin
from phospho_schemas.times import utc_now

_PATH = "/settings/judgements"
SHOWN_DAYS = 30


def judgement_page_routes(services: Services) -> list[BaseRoute]:
    """Return the routes of judgements."""
    pages = JudgementPages(services)
    return page_and_twin(_PATH, pages.read, pages.render)


class JudgementPages(Endpoints):
    """The page and its twin."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._usage = JudgementUsage(services.store, services.registry)
        self._page = SettingsPage(services, "judgements", "judgements/usage.html")

    async def read(self, request: Request) -> tuple[Visitor, dict[str, Any]]:
        visitor, project_id = await self._access.page_visitor_and_project(request)
        usage = await self._threads.run(self._usage.read, project_id, SHOWN_DAYS)
        return visitor, {"project_id": project_id} | usage

    async def render(self, request: Request, visitor: Visitor, content: dict[str, Any]) -> Response:
        over_time = usage_by_day(content["days"], utc_now().date())
        return await self._page.render(request, visitor, content | {"over_time": over_time})


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
