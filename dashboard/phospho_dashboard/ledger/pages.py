"""The page of the ledger."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from phospho_dashboard.auth.visitors import Visitor
from phospho_dashboard.layout.pages import SettingsPage
from phospho_dashboard.ledger.ledger import LedgerReader
from phospho_dashboard.services import Endpoints, Services
from phospho_dashboard.web.routes import page_and_twin
from phospho_schemas.times import utc_now

_PATH = "/settings/ledger"
# The choices of the page, by their label.
PERIODS = {"24h": ("Last 24 hours", 24), "7d": ("Last 7 days", 168), "30d": ("Last 30 days", 720)}
_DEFAULT_PERIOD = "24h"


class LedgerPages(Endpoints):
    """The page and its twin."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._ledger = LedgerReader(services.store)
        self._page = SettingsPage(services, "ledger", "ledger/ledger.html")

    def routes(self) -> list[BaseRoute]:
        """Return the routes of the ledger."""
        return page_and_twin(_PATH, self.read, self.render, ("period",))

    async def read(self, request: Request) -> tuple[Visitor, dict[str, Any]]:
        visitor, project_id = await self._access.page_visitor_and_project(request)
        since = utc_now() - timedelta(hours=PERIODS[_period(request)][1])
        return visitor, await self._threads.run(self._ledger.read, project_id, since)

    async def render(self, request: Request, visitor: Visitor, content: dict[str, Any]) -> Response:
        choices = {name: label for name, (label, _) in PERIODS.items()}
        return await self._page.render(request, visitor, content | {"period": _period(request), "periods": choices})


def _period(request: Request) -> str:
    period = request.query_params.get("period", _DEFAULT_PERIOD)
    return period if period in PERIODS else _DEFAULT_PERIOD
