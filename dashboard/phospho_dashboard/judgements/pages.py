"""The page of judgements: what they cost, day by day, and what is left of today's budget."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from phospho_dashboard.auth.access import Access
from phospho_dashboard.auth.visitors import Visitor
from phospho_dashboard.judgements.usage import LlmUsage
from phospho_dashboard.layout.settings_frame import SettingsFrames
from phospho_dashboard.services import Services
from phospho_dashboard.web.rendering import paged
from phospho_web.responses import json_response, with_json_errors

_PATH = "/settings/judgements"
SHOWN_DAYS = 30


def llm_routes(services: Services) -> list[Route]:
    """Return the routes of judgements."""
    pages = LlmPages(services)
    return [Route(_PATH, paged(pages.page)), Route(f"{_PATH}.json", with_json_errors(pages.twin))]


class LlmPages:
    """The page and its twin."""

    def __init__(self, services: Services) -> None:
        self._threads = services.threads
        self._access = Access(services)
        self._frames = SettingsFrames(services)
        self._usage = LlmUsage(services.store, services.registry)

    async def page(self, request: Request) -> Response:
        visitor = await self._access.of_page(request)
        content = await self._content(request, visitor)
        over_time = by_day(content["days"], datetime.now(UTC).date())
        shown = content | {"over_time": over_time}
        return await self._frames.shown(request, visitor, "judgements", "judgements/usage.html", shown)

    async def twin(self, request: Request) -> Response:
        return json_response(await self._content(request, await self._access.of_page(request)))

    async def _content(self, request: Request, visitor: Visitor) -> dict[str, Any]:
        project_id = await self._frames.project_id(request, visitor)
        return {"project_id": project_id} | await self._threads.run(self._usage.of, project_id, SHOWN_DAYS)


def by_day(rows: Sequence[dict[str, Any]], today: date) -> list[dict[str, Any]]:
    """Return a row for each of the last SHOWN_DAYS days, the models of a day together, the oldest first."""
    found: dict[str, dict[str, Any]] = {}
    for back in reversed(range(SHOWN_DAYS)):
        day = str(today - timedelta(days=back))
        found[day] = {"day": day, "calls": 0, "tokens": 0, "usd": 0.0}
    for row in rows:
        of_day = found.get(row["day"])
        if of_day is not None:
            of_day["calls"] += row["calls"]
            of_day["tokens"] += row["tokens_in"] + row["tokens_out"]
            of_day["usd"] += row["usd"]
    return list(found.values())
