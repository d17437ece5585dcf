"""The page of the people who may sign in, for admins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute

from phospho_dashboard.auth.access import note_change
from phospho_dashboard.auth.directory import DEFAULT_ROLE
from phospho_dashboard.auth.visitors import Visitor, check_installation
from phospho_dashboard.layout.pages import Confirmation, ConfirmationPage, SettingsPage, is_confirmed
from phospho_dashboard.services import Endpoints, Services
from phospho_dashboard.web.forms import Form
from phospho_dashboard.web.routes import form_route, page_and_twin
from phospho_schemas.rows.people import GIVEN_ROLES
from phospho_web.problems import Problem

_PATH = "/settings/people"


class PeoplePages(Endpoints):
    """The page, its twin and its forms."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._directory = services.sign_ins.directory
        self._page = SettingsPage(services, "people", "people/people.html")
        self._confirmation_page = ConfirmationPage(services, "settings")

    def routes(self) -> list[BaseRoute]:
        """Return the routes of people, which only an admin may use."""
        return [
            *page_and_twin(_PATH, self.read, self.render),
            form_route(_PATH, self.add),
            form_route(f"{_PATH}/change", self.change),
            form_route(f"{_PATH}/sign-out", self.sign_out),
            form_route(f"{_PATH}/remove", self.remove),
        ]

    async def read(self, request: Request) -> tuple[Visitor, dict[str, Any]]:
        visitor = await self._access.page_visitor(request, "admin")
        check_installation(visitor)
        return visitor, await self._content()

    async def render(
        self, request: Request, visitor: Visitor, content: dict[str, Any], problem: Problem | None = None
    ) -> Response:
        content |= {"roles": GIVEN_ROLES, "default_role": DEFAULT_ROLE}
        return await self._page.render(request, visitor, content, problem=problem)

    async def add(self, request: Request) -> Response:
        def add(form: Form) -> None:
            person = self._directory.add(
                form.text("name"), form.text("role"), form.raw("password"), _project_roles(form)
            )
            note_change(request, person)

        return await self._submit(request, add)

    async def change(self, request: Request) -> Response:
        def change(form: Form) -> None:
            person = self._directory.change(
                form.text("name"), form.text("role"), form.raw("password"), _project_roles(form)
            )
            note_change(request, person)

        return await self._submit(request, change)

    async def sign_out(self, request: Request) -> Response:
        return await self._submit(request, lambda form: self._directory.sign_out(form.text("name")))

    async def remove(self, request: Request) -> Response:
        return await self._submit(request, lambda form: self._directory.remove(form.text("name")), _removal)

    async def _submit(
        self,
        request: Request,
        action: Callable[[Form], None],
        confirmation: Callable[[Form], Confirmation] | None = None,
    ) -> Response:
        """
        Do what a form asks for, and show the list again, with what is wrong where it can't be done.

        With `confirmation`, ask first.
        """
        visitor, form = await self._access.form_visitor(request, "admin")
        check_installation(visitor)
        if confirmation is not None and not is_confirmed(form):
            project_id = await self._access.query_project(request, visitor)
            return await self._confirmation_page.render(
                request, visitor, form, project_id=project_id, confirmation=confirmation(form)
            )
        try:
            for project_id in _project_roles(form):
                await self._access.visible_project(visitor, project_id)
            await self._services.password_threads.run(action, form)
        except Problem as problem:
            return await self.render(request, visitor, await self._content(), problem)
        return RedirectResponse(_PATH, 303)

    async def _content(self) -> dict[str, Any]:
        return {"people": await self._threads.run(self._directory.everybody)}


def _project_roles(form: Form) -> dict[str, str]:
    """Return the role that a form gives in one project, if it names one."""
    project_id = form.text("project_id")
    return {project_id: form.text("project_role")} if project_id else {}


def _removal(form: Form) -> Confirmation:
    name = form.text("name")
    effects = ("They are signed out everywhere and can't sign in again.", "Their labels and notes stay.")
    return Confirmation(f"Remove {name}?", effects, f"Remove {name}", _PATH)
