"""Pages of the settings, with the tabs that lead from one to another."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from phospho_dashboard.auth.visitors import Visitor
from phospho_dashboard.layout.frames import NavigationLink, read_frame
from phospho_dashboard.services import Services
from phospho_dashboard.web.rendering import page_response
from phospho_dashboard.web.urls import with_query
from phospho_schemas.people import Role, may_act_as
from phospho_web.problems import Problem

# The name of a tab, its path, its label, and the role that sees it.
SETTINGS_TABS: tuple[tuple[str, str, str, Role], ...] = (
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


class SettingsPage:
    """A template inside the frame of the settings, under one of SETTINGS_TABS."""

    def __init__(self, services: Services, tab: str, template: str) -> None:
        self._services = services
        self._tab = tab
        self._template = template

    async def render(
        self,
        request: Request,
        visitor: Visitor,
        content: dict[str, Any],
        *,
        problem: Problem | None = None,
        status: int = 200,
    ) -> Response:
        """Return the page; with `problem` it shows what is wrong, and has the problem's status."""
        project_id = await self._services.access.query_project(request, visitor)
        surroundings = {
            "frame": await read_frame(self._services, "settings", visitor, project_id),
            "settings_navigation": self._tabs(visitor, project_id),
            "form_token": visitor.form_token,
            "may_edit": visitor.may("editor"),
            "may_set": visitor.may("admin"),
            "problem": problem,
        }
        return page_response(self._template, surroundings | content, status if problem is None else problem.status)

    def _tabs(self, visitor: Visitor, project_id: str) -> list[NavigationLink]:
        return [
            NavigationLink(name, label, with_query(path, {"project": project_id}), name == self._tab)
            for name, path, label, role in SETTINGS_TABS
            if may_act_as(visitor.role, role)
        ]
