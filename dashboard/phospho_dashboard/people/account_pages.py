"""The page of one's own account: the password, and the browsers in which one has signed in."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute

from phospho_dashboard.auth.access import cookie_name, set_sign_in_cookie
from phospho_dashboard.auth.visitors import Visitor
from phospho_dashboard.layout.pages import SettingsPage
from phospho_dashboard.services import Endpoints, Services
from phospho_dashboard.web.origins import client_address, networks
from phospho_dashboard.web.routes import form_route, page_and_twin
from phospho_web.problems import Problem

_PATH = "/settings/account"


class AccountPages(Endpoints):
    """The page of a person's own account; any role has one."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._sign_ins = services.sign_ins
        self._page = SettingsPage(services, "account", "people/account.html")
        self._proxies = networks(services.settings.sign_in.trusted_proxies)

    def routes(self) -> list[BaseRoute]:
        """Return the routes of one's own account."""
        return [
            *page_and_twin(_PATH, self.read, self._page.render),
            form_route(f"{_PATH}/password", self.change_password),
            form_route(f"{_PATH}/end", self.end),
        ]

    async def read(self, request: Request) -> tuple[Visitor, dict[str, Any]]:
        visitor = await self._access.page_visitor(request)
        return visitor, await self._content(request, visitor)

    async def change_password(self, request: Request) -> Response:
        """Change the password, sign out everywhere, and sign this browser in again."""
        visitor, form = await self._access.form_visitor(request, "viewer")
        old, new = form.raw("old_password"), form.raw("password")
        address = client_address(request, self._proxies)
        try:
            token = await self._services.password_threads.run(
                self._sign_ins.change_password, visitor.name, old, new, address
            )
        except Problem as problem:
            content = await self._content(request, visitor)
            return await self._page.render(request, visitor, content, problem=problem)
        response = RedirectResponse(_PATH, 303)
        set_sign_in_cookie(response, request, token, self._services.settings.sign_in.lifetime_s)
        return response

    async def end(self, request: Request) -> Response:
        """End one of one's own sign-ins."""
        visitor, form = await self._access.form_visitor(request, "viewer")
        await self._threads.run(self._end, visitor.name, form.text("sign_in_id"))
        return RedirectResponse(_PATH, 303)

    def _end(self, name: str, sign_in_id: str) -> None:
        person = self._sign_ins.directory.person(name)
        if not self._sign_ins.end(person, sign_in_id):
            raise Problem(404, "unknown_sign_in", "this sign-in has ended already")

    async def _content(self, request: Request, visitor: Visitor) -> dict[str, Any]:
        return await self._threads.run(self._read, visitor, request.cookies.get(cookie_name(request), ""))

    def _read(self, visitor: Visitor, token: str) -> dict[str, Any]:
        person = self._sign_ins.directory.people.person(visitor.name) if visitor.name else None
        current = self._sign_ins.signed_in(token) if token else None
        current_id = current.sign_in.sign_in_id if current is not None else None
        sign_ins = self._sign_ins.of_person(person) if person is not None else []
        return {
            "name": visitor.name,
            "role": visitor.roles.everywhere,
            "project_roles": dict(visitor.roles.by_project),
            "has_password": self._services.settings.sign_in.has_passwords
            and person is not None
            and bool(person.password_hash),
            "sign_ins": [
                sign_in.model_dump(mode="json", include={"sign_in_id", "created_at", "seen_at", "expires_at"})
                | {"is_this": sign_in.sign_in_id == current_id}
                for sign_in in sign_ins
            ],
        }
