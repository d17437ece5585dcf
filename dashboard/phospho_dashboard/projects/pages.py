"""The page of all projects, and the page of a project's API keys."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute

from phospho_dashboard.auth.visitors import Visitor
from phospho_dashboard.layout.pages import Confirmation, ConfirmationPage, SettingsPage, is_confirmed
from phospho_dashboard.projects.projects import created_key, created_project, public_key
from phospho_dashboard.services import Endpoints, Services
from phospho_dashboard.web.forms import Form
from phospho_dashboard.web.routes import form_route, page_and_twin
from phospho_dashboard.web.urls import with_query
from phospho_schemas.times import utc_now
from phospho_web.problems import Problem

_PROJECTS_PATH = "/settings/projects"
_KEYS_PATH = "/settings/keys"
_MAX_EXPIRY_DAYS = 3650


class ProjectPages(Endpoints):
    """The page, its twin and its form."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._page = SettingsPage(services, "projects", "projects/projects.html")

    def routes(self) -> list[BaseRoute]:
        """Return the routes of the list of projects."""
        return [
            *page_and_twin(_PROJECTS_PATH, self.read, self.render),
            form_route(_PROJECTS_PATH, self.create),
        ]

    async def read(self, request: Request) -> tuple[Visitor, dict[str, Any]]:
        visitor = await self._access.page_visitor(request)
        return visitor, await self._content(visitor)

    async def render(
        self, request: Request, visitor: Visitor, content: dict[str, Any], problem: Problem | None = None
    ) -> Response:
        return await self._page.render(request, visitor, content | {"may_add": visitor.is_admin}, problem=problem)

    async def create(self, request: Request) -> Response:
        visitor, form = await self._access.form_visitor(request, "admin")
        if not visitor.is_admin:
            raise Problem(403, "admin_only", "only admins of all projects can create projects")
        fields = {"project_id": form.text("project_id"), "name": form.text("name")}
        try:
            project = await self._threads.run(created_project, self._registry, fields)
        except Problem as problem:
            return await self.render(request, visitor, await self._content(visitor), problem)
        # The next step is a key for the new project.
        return RedirectResponse(with_query(_KEYS_PATH, {"project": project.project_id}), 303)

    async def _content(self, visitor: Visitor) -> dict[str, Any]:
        return {"projects": [project.model_dump(mode="json") for project in await self._access.projects(visitor)]}


class KeyPages(Endpoints):
    """The page, its twin and its forms."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._page = SettingsPage(services, "keys", "projects/keys.html")
        self._confirmation_page = ConfirmationPage(services, "settings")

    def routes(self) -> list[BaseRoute]:
        """Return the routes of API keys."""
        return [
            *page_and_twin(_KEYS_PATH, self.read, self.render),
            form_route(_KEYS_PATH, self.create),
            form_route(f"{_KEYS_PATH}/revoke", self.revoke),
        ]

    async def read(self, request: Request) -> tuple[Visitor, dict[str, Any]]:
        visitor, project_id = await self._access.page_visitor_and_project(request)
        return visitor, await self._content(project_id)

    async def render(self, request: Request, visitor: Visitor, content: dict[str, Any]) -> Response:
        return await self._page.render(request, visitor, content | {"new_key": None})

    async def create(self, request: Request) -> Response:
        """Create a key and show its secret: this page, which no cache keeps, is the only place that has it."""
        visitor, project_id, form = await self._access.form_visitor_and_project(request, "admin")
        new = await self._threads.run(created_key, self._registry, project_id, _key_fields(form))
        content = await self._content(project_id) | {"new_key": {"name": new.key.name, "api_key": new.secret}}
        return await self._page.render(request, visitor, content, status=201)

    async def revoke(self, request: Request) -> Response:
        visitor, project_id, form = await self._access.form_visitor_and_project(request, "admin")
        key_id = form.text("key_id")
        if not is_confirmed(form):
            revocation = await self._threads.run(self._revocation, project_id, key_id)
            return await self._confirmation_page.render(
                request, visitor, form, project_id=project_id, confirmation=revocation
            )
        if await self._threads.run(self._registry.revoke_key, project_id, key_id) is None:
            raise _unknown_key()
        return RedirectResponse(with_query(_KEYS_PATH, {"project": project_id}), 303)

    def _revocation(self, project_id: str, key_id: str) -> Confirmation:
        key = next((key for key in self._registry.keys(project_id) if key.key_id == key_id), None)
        if key is None:
            raise _unknown_key()
        name = f"{key.name} ({key.prefix}…)" if key.name else f"{key.prefix}…"
        effects = ("Requests with this key are refused within seconds.", "A revoked key can't be restored.")
        back = with_query(_KEYS_PATH, {"project": project_id})
        return Confirmation(f"Revoke API key {name}?", effects, "Revoke API key", back)

    async def _content(self, project_id: str) -> dict[str, Any]:
        keys = await self._threads.run(self._registry.keys, project_id)
        return {"project_id": project_id, "keys": [public_key(key) for key in keys]}


def _key_fields(form: Form) -> dict[str, Any]:
    """Return the fields of a new key. Raises Problem 422 for days that are no number."""
    fields: dict[str, Any] = {"name": form.text("name", 128)}
    if scopes := form.text("scopes"):
        fields["scopes"] = scopes.split(",")
    if days := form.text("expires_in_days"):
        if not days.isdecimal() or not 0 < int(days) <= _MAX_EXPIRY_DAYS:
            raise Problem(422, "invalid_key", f"a key expires after 1 to {_MAX_EXPIRY_DAYS} days, or never")
        fields["expires_at"] = utc_now() + timedelta(days=int(days))
    return fields


def _unknown_key() -> Problem:
    return Problem(404, "unknown_key_id", "there is no such key in this project")
