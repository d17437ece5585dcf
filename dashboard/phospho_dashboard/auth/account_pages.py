"""One's own account: the password, and the browsers in which one has signed in."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from phospho_dashboard.auth.access import Access, cookie_name
from phospho_dashboard.auth.sign_in_pages import set_sign_in
from phospho_dashboard.auth.visitors import Visitor
from phospho_dashboard.layout.settings_frame import SettingsFrames
from phospho_dashboard.services import Services
from phospho_dashboard.web.origins import client_address, networks
from phospho_dashboard.web.rendering import paged
from phospho_web.problems import Problem
from phospho_web.responses import json_response, with_json_errors

_PATH = "/settings/account"


def account_routes(services: Services) -> list[Route]:
    """Return the routes of one's own account."""
    pages = AccountPages(services)
    return [
        Route(_PATH, paged(pages.page)),
        Route(f"{_PATH}.json", with_json_errors(pages.twin)),
        Route(f"{_PATH}/password", paged(pages.change_password), methods=["POST"]),
        Route(f"{_PATH}/end", paged(pages.end), methods=["POST"]),
    ]


class AccountPages:
    """The pages of a person's own account; any role has one."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._access = Access(services)
        self._frames = SettingsFrames(services)
        self._proxies = networks(services.settings.sign_in.trusted_proxies)

    async def page(self, request: Request) -> Response:
        visitor = await self._access.of_page(request)
        return await self._shown(request, visitor, None)

    async def twin(self, request: Request) -> Response:
        return json_response(await self._content(request, await self._access.of_page(request)))

    async def change_password(self, request: Request) -> Response:
        """Change the password, sign out everywhere, and sign this browser in again."""
        visitor, form = await self._access.of_form(request, "viewer")
        old, new = form.raw("old_password"), form.raw("password")
        address = client_address(request, self._proxies)
        try:
            token = await self._services.password_threads.run(
                self._services.desk.change_password, visitor.name, old, new, address
            )
        except Problem as problem:
            return await self._shown(request, visitor, problem)
        answer = RedirectResponse(_PATH, 303)
        set_sign_in(answer, request, token, self._services.settings.sign_in.lifetime_s)
        return answer

    async def end(self, request: Request) -> Response:
        """End one of one's own sign-ins."""
        visitor, form = await self._access.of_form(request, "viewer")
        await self._services.threads.run(self._ended, visitor.name, form.text("sign_in_id"))
        return RedirectResponse(_PATH, 303)

    def _ended(self, name: str, sign_in_id: str) -> None:
        person = self._services.desk.directory.person(name)
        if not self._services.desk.end(person, sign_in_id):
            raise Problem(404, "unknown_sign_in", "this sign-in has ended already")

    async def _shown(self, request: Request, visitor: Visitor, problem: Problem | None) -> Response:
        content = await self._content(request, visitor)
        return await self._frames.shown(request, visitor, "account", "auth/account.html", content, problem)

    async def _content(self, request: Request, visitor: Visitor) -> dict[str, Any]:
        return await self._services.threads.run(self._read, visitor, request.cookies.get(cookie_name(request), ""))

    def _read(self, visitor: Visitor, token: str) -> dict[str, Any]:
        desk = self._services.desk
        person = desk.directory.people.person(visitor.name) if visitor.name else None
        current = desk.signed_in(token) if token else None
        found = desk.sign_ins(person) if person is not None else []
        return {
            "name": visitor.name,
            "role": visitor.role,
            "has_password": person is not None and bool(person.password_hash),
            "sign_ins": [
                one.model_dump(mode="json", include={"sign_in_id", "created_at", "seen_at", "expires_at"})
                | {"is_this": current is not None and current.sign_in.sign_in_id == one.sign_in_id}
                for one in found
            ],
        }
