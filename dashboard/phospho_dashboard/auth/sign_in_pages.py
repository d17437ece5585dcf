"""Signing in and out, and making the first administrator."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from phospho_dashboard.auth.access import Access, cookie_name
from phospho_dashboard.services import Services
from phospho_dashboard.web.forms import Form, check_site, read_form
from phospho_dashboard.web.origins import client_address, is_encrypted, local_path, networks
from phospho_dashboard.web.rendering import page_response, paged
from phospho_web.problems import Problem

# What a person can mend in the form itself; anything else is a page of its own.
_SHOWN_IN_FORM = frozenset({401, 409, 422, 429})


def sign_in_routes(services: Services) -> list[Route]:
    """Return the routes of who has not signed in yet, and the way out."""
    pages = SignInPages(services)
    return [
        Route("/sign-in", paged(pages.sign_in_page)),
        Route("/sign-in", paged(pages.sign_in), methods=["POST"]),
        Route("/sign-out", paged(pages.sign_out), methods=["POST"]),
        Route("/setup", paged(pages.set_up_page)),
        Route("/setup", paged(pages.set_up), methods=["POST"]),
    ]


class SignInPages:
    """The pages for who has not signed in yet, and the way out."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._settings = services.settings
        self._access = Access(services)
        self._proxies = networks(services.settings.sign_in.trusted_proxies)

    async def sign_in_page(self, request: Request) -> Response:
        return self._form("auth/sign_in.html", request.query_params.get("next"))

    async def sign_in(self, request: Request) -> Response:
        form = await self._outer_form(request)
        name, password = form.text("name"), form.raw("password")
        address = client_address(request, self._proxies)
        return await self._entered(
            request, "auth/sign_in.html", form, lambda: self._services.desk.sign_in(name, password, address)
        )

    async def set_up_page(self, request: Request) -> Response:
        return self._form("auth/set_up.html", None)

    async def set_up(self, request: Request) -> Response:
        form = await self._outer_form(request)
        code, name, password = form.text("code"), form.text("name"), form.raw("password")
        address = client_address(request, self._proxies)
        return await self._entered(
            request, "auth/set_up.html", form, lambda: self._services.desk.set_up(code, name, password, address)
        )

    async def sign_out(self, request: Request) -> Response:
        """End the sign-in of this browser; one that has ended already is as well."""
        check_site(request)
        token, desk = request.cookies.get(cookie_name(request), ""), self._services.desk
        if token and await self._services.threads.run(desk.signed_in, token) is not None:
            await self._access.of_form(request, "viewer")
            await self._services.threads.run(desk.sign_out, token)
        answer = RedirectResponse("/sign-in", 303)
        answer.delete_cookie(cookie_name(request), secure=is_encrypted(request), httponly=True, samesite="lax")
        return answer

    async def _outer_form(self, request: Request) -> Form:
        """Return a form of somebody who is nobody yet: no cookie speaks for them, the page's origin alone does."""
        check_site(request)
        return await read_form(request, self._settings.max_body_bytes)

    async def _entered(self, request: Request, template: str, form: Form, enter: Callable[[], str]) -> Response:
        """Sign the browser in, with a token that it never had, and go on; or show the form with what is wrong."""
        try:
            token = await self._services.password_threads.run(enter)
        except Problem as problem:
            if problem.status not in _SHOWN_IN_FORM:
                raise
            return self._form(template, form.raw("next", 4000), problem, form.text("name"))
        answer = RedirectResponse(local_path(form.raw("next", 4000)), 303)
        set_sign_in(answer, request, token, self._settings.sign_in.lifetime_s)
        return answer

    def _form(self, template: str, next_path: str | None, problem: Problem | None = None, name: str = "") -> Response:
        is_local = self._settings.pages_open
        content = {"next_path": local_path(next_path), "problem": problem, "name": name, "is_local": is_local}
        if problem is None:
            return page_response(template, content)
        return page_response(template, content, problem.status, problem.headers())


def set_sign_in(answer: Response, request: Request, token: str, lifetime_s: int) -> None:
    """Give the browser its token: out of reach of scripts, and of requests that another site makes it send."""
    answer.set_cookie(
        cookie_name(request), token, lifetime_s, path="/", secure=is_encrypted(request), httponly=True, samesite="lax"
    )
