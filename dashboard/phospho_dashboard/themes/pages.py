"""The pages of themes: the list, one theme, and the forms that edit it or make a definition of it."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute

from phospho_dashboard.analytics.tasks import task_list_extras
from phospho_dashboard.detection import Detection
from phospho_dashboard.layout.views import View
from phospho_dashboard.services import Endpoints, Services
from phospho_dashboard.themes.definition import ThemeDefinitions
from phospho_dashboard.themes.edits import ThemeEdits
from phospho_dashboard.themes.themes import SORTS, Themes
from phospho_dashboard.web.origins import local_path
from phospho_dashboard.web.routes import form_route
from phospho_dashboard.web.urls import with_query
from phospho_schemas.rows.themes import MAX_TITLE_CHARACTERS
from phospho_store.store import Store
from phospho_web.problems import Problem

_SWITCHES = {
    "hide": ("is_hidden", True),
    "show": ("is_hidden", False),
    "pin": ("is_pinned", True),
    "unpin": ("is_pinned", False),
}


def theme_views(store: Store) -> list[View]:
    """Return the views of the list of themes and of one theme."""
    themes = Themes(store)
    return [
        View(
            "themes",
            "/themes",
            "themes/themes.html",
            themes.listed,
            page_extras=lambda *_: {"sorts": SORTS},
            parameters=("sort", "side"),
        ),
        View(
            "themes",
            "/themes",
            "themes/theme.html",
            themes.detail,
            is_item=True,
            page_extras=task_list_extras,
            page_parameters=("columns",),
        ),
    ]


class ThemeForms(Endpoints):
    """The actions of the forms; each leads back to the page that it was sent from."""

    def __init__(self, services: Services, detection: Detection) -> None:
        super().__init__(services)
        self._edits = ThemeEdits(services.store)
        self._definitions = ThemeDefinitions(services, detection)

    def routes(self) -> list[BaseRoute]:
        """Return the routes of the forms."""
        return [
            form_route("/themes/edit", self.edit),
            form_route("/themes/refresh", self.refresh),
            form_route("/themes/definition", self.make_definition),
        ]

    async def edit(self, request: Request) -> Response:
        """Rename, hide, show, pin, unpin, merge or split a theme."""
        visitor, project_id, form = await self._access.form_visitor_and_project(request, "editor")
        theme_id, action = form.text("theme_id"), form.text("action")
        changes: dict[str, Any] = dict([_SWITCHES[action]]) if action in _SWITCHES else {}
        if action == "rename":
            changes = {"title": form.text("title", MAX_TITLE_CHARACTERS)}
        if changes:
            await self._threads.run(lambda: self._edits.change(project_id, theme_id, visitor.author, **changes))
        elif action == "merge":
            await self._threads.run(self._edits.merge, project_id, theme_id, form.text("into"), visitor.author)
        elif action == "split":
            await self._threads.run(self._edits.split, project_id, theme_id, visitor.author)
        else:
            raise Problem(422, "invalid_action", "there is no such action")
        return RedirectResponse(local_path(form.raw("next", 4000)), 303)

    async def make_definition(self, request: Request) -> Response:
        """Make a definition of a theme, and lead to the form that changes it."""
        visitor, project_id, form = await self._access.form_visitor_and_project(request, "editor")
        definition = await self._threads.run(self._definitions.create, project_id, form.text("theme_id"), visitor)
        return RedirectResponse(with_query("/definitions", {"project": project_id, "name": definition.name}), 303)

    async def refresh(self, request: Request) -> Response:
        """Ask for a new discovery."""
        visitor, project_id, form = await self._access.form_visitor_and_project(request, "editor")
        await self._threads.run(self._edits.refresh, project_id, visitor.author)
        return RedirectResponse(local_path(form.raw("next", 4000)), 303)
