"""The page of the audit log, its twin, and its endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from phospho_dashboard.audit.log import AuditLog
from phospho_dashboard.auth.visitors import Visitor
from phospho_dashboard.layout.pages import SettingsPage
from phospho_dashboard.services import LIMIT, ROWS, ApiEndpoints, Endpoints, Services
from phospho_dashboard.web.formats import with_times
from phospho_dashboard.web.routes import page_and_twin
from phospho_web.cursors import page_limit
from phospho_web.endpoints import api_endpoint
from phospho_web.openapi import TEXT, nullable, object_schema, query_parameter
from phospho_web.responses import json_response

_PATH = "/settings/audit"


def _page(log: AuditLog, projects: Sequence[str], before: str, limit: int) -> dict[str, Any]:
    rows = log.page(projects, before, limit + 1)
    next_cursor = rows[limit - 1]["audit_id"] if len(rows) > limit else None
    return {"audit": [with_times(row) for row in rows[:limit]], "next_cursor": next_cursor}


class AuditPages(Endpoints):
    """The page and its twin, for admins."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._log = AuditLog(services.store, services.clock)
        self._page = SettingsPage(services, "audit", "audit/audit.html")

    def routes(self) -> list[BaseRoute]:
        """Return the routes of the audit log."""
        return page_and_twin(_PATH, self.read, self._page.render)

    async def read(self, request: Request) -> tuple[Visitor, dict[str, Any]]:
        visitor, project_id = await self._access.page_visitor_and_project(request, "admin")
        before = request.query_params.get("cursor", "")
        limit = page_limit(request.query_params.get("limit"))
        page = await self._threads.run(_page, self._log, visitor.readable_projects(project_id), before, limit)
        return visitor, {"project_id": project_id} | page


class AuditApi(ApiEndpoints):
    """The endpoint of the audit log."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._log = AuditLog(services.store, services.clock)

    @api_endpoint(
        "get",
        "/audit",
        "Changes, with who made them, the latest first",
        object_schema(["audit", "next_cursor"], audit=ROWS, next_cursor=nullable(TEXT)),
        parameters=(query_parameter("cursor", TEXT), LIMIT),
    )
    async def audit(self, request: Request) -> Response:
        visitor, project_id = await self._access.api_visitor_and_project(request, "admin")
        projects = visitor.readable_projects(project_id)
        before, limit = request.query_params.get("cursor", ""), page_limit(request.query_params.get("limit"))
        return json_response(await self._threads.run(_page, self._log, projects, before, limit))
