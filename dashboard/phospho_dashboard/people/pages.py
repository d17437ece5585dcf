"""The people who may sign in, for admins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from phospho_dashboard.auth.access import Access
from phospho_dashboard.auth.visitors import Visitor, check_install
from phospho_dashboard.layout.confirmation import Confirming, Question, is_confirmed
from phospho_dashboard.layout.settings_frame import SettingsFrames
from phospho_dashboard.services import Services
from phospho_dashboard.web.forms import Form
from phospho_dashboard.web.rendering import paged
from phospho_schemas.people import ROLES
from phospho_web.problems import Problem
from phospho_web.responses import json_response, with_json_errors

_PATH = "/settings/people"


def people_routes(services: Services) -> list[Route]:
    """Return the routes of people; an admin alone may use them."""
    pages = PeoplePages(services)
    return [
        Route(_PATH, paged(pages.page)),
        Route(f"{_PATH}.json", with_json_errors(pages.twin)),
        Route(_PATH, paged(pages.add), methods=["POST"]),
        Route(f"{_PATH}/change", paged(pages.change), methods=["POST"]),
        Route(f"{_PATH}/sign-out", paged(pages.sign_out), methods=["POST"]),
        Route(f"{_PATH}/remove", paged(pages.remove), methods=["POST"]),
    ]


class PeoplePages:
    """The page of people, and what its forms do."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._access = Access(services)
        self._frames = SettingsFrames(services)
        self._confirming = Confirming(services)
        self._directory = services.desk.directory

    async def page(self, request: Request) -> Response:
        return await self._shown(request, await self._admin(request), None)

    async def twin(self, request: Request) -> Response:
        await self._admin(request)
        return json_response(await self._content())

    async def add(self, request: Request) -> Response:
        def act(form: Form) -> None:
            self._directory.add(form.text("name"), form.text("role"), form.raw("password"))

        return await self._acted(request, act)

    async def change(self, request: Request) -> Response:
        def act(form: Form) -> None:
            self._directory.change(form.text("name"), form.text("role"), form.raw("password"))

        return await self._acted(request, act)

    async def sign_out(self, request: Request) -> Response:
        return await self._acted(request, lambda form: self._directory.sign_out(form.text("name")))

    async def remove(self, request: Request) -> Response:
        return await self._acted(request, lambda form: self._directory.remove(form.text("name")), _of_removing)

    async def _acted(
        self, request: Request, act: Callable[[Form], None], ask: Callable[[Form], Question] | None = None
    ) -> Response:
        """
        Do what a form asks for, and show the list again, with what is wrong where it can't be done.

        With `ask`, only where it is confirmed; else ask.
        """
        visitor, form = await self._access.of_form(request, "admin")
        check_install(visitor)
        if ask is not None and not is_confirmed(form):
            project_id = await self._frames.project_id(request, visitor)
            return await self._confirming.page(request, visitor, "settings", project_id, ask(form), form)
        try:
            await self._services.password_threads.run(act, form)
        except Problem as problem:
            return await self._shown(request, visitor, problem)
        return RedirectResponse(_PATH, 303)

    async def _admin(self, request: Request) -> Visitor:
        visitor = await self._access.of_page(request, "admin")
        check_install(visitor)
        return visitor

    async def _shown(self, request: Request, visitor: Visitor, problem: Problem | None) -> Response:
        content = await self._content() | {"roles": ROLES}
        return await self._frames.shown(request, visitor, "people", "people/people.html", content, problem)

    async def _content(self) -> dict[str, Any]:
        return {"people": await self._services.threads.run(self._directory.everybody)}


def _of_removing(form: Form) -> Question:
    name = form.text("name")
    effects = ("They are signed out everywhere, and can't sign in any more.", "What they labelled and noted stays.")
    return Question(f"Remove {name}?", effects, f"Remove {name}", _PATH)
