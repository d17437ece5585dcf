"""The frame of the settings: the project it is about, and the ways from one page of settings to another."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from phospho_dashboard.auth.access import Access
from phospho_dashboard.auth.visitors import Visitor
from phospho_dashboard.layout.frames import Entry, frame_of
from phospho_dashboard.services import Services
from phospho_dashboard.web.rendering import page_response
from phospho_dashboard.web.urls import with_query
from phospho_schemas.people import Role, may_act_as
from phospho_web.problems import Problem

# The name of a page of settings, its path, its label, and the role that sees it.
SETTINGS_PAGES: tuple[tuple[str, str, str, Role], ...] = (
    ("project", "/settings", "Project", "viewer"),
    ("keys", "/settings/keys", "API keys", "viewer"),
    ("webhooks", "/settings/webhooks", "Webhooks", "viewer"),
    ("judgements", "/settings/judgements", "Judgements", "viewer"),
    ("dead-letters", "/settings/dead-letters", "Dead letters", "viewer"),
    ("health", "/settings/health", "System health", "viewer"),
    ("projects", "/settings/projects", "All projects", "viewer"),
    ("people", "/settings/people", "People", "admin"),
    ("account", "/settings/account", "Your account", "viewer"),
)


class SettingsFrames:
    """Makes what a page of settings shows around its content."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._access = Access(services)

    async def project_id(self, request: Request, visitor: Visitor) -> str:
        """Return the project in the query, or the oldest. Raises Problem 403 or 404."""
        return await self._access.project_id(visitor, request.query_params.get("project") or None)

    async def shown(
        self,
        request: Request,
        visitor: Visitor,
        page: str,
        template: str,
        content: dict[str, Any],
        problem: Problem | None = None,
        status: int = 200,
    ) -> Response:
        """Return a page of settings; with `problem`, of its status, and saying what is wrong."""
        project_id = await self.project_id(request, visitor)
        projects = await self._access.projects(visitor)
        around = {
            "frame": frame_of("settings", visitor, project_id, projects, self._services.settings.base_url, {}),
            "settings_navigation": _navigation(visitor, project_id, page),
            "form_token": visitor.form_token,
            "may_edit": may_act_as(visitor.role, "editor"),
            "may_set": may_act_as(visitor.role, "admin"),
            "problem": problem,
        }
        return page_response(template, around | content, status if problem is None else problem.status)


def _navigation(visitor: Visitor, project_id: str, page: str) -> list[Entry]:
    return [
        Entry(name, label, with_query(path, {"project": project_id}), name == page)
        for name, path, label, role in SETTINGS_PAGES
        if may_act_as(visitor.role, role)
    ]
