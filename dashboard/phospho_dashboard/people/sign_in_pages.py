"""The pages to sign in, to sign out, and to create the first administrator."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from functools import partial

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute

from phospho_dashboard.auth.access import cookie_name, local_cookie_name, note_roles, set_sign_in_cookie
from phospho_dashboard.auth.oidc import Attempt, OidcProvider, attempt_of, new_attempt
from phospho_dashboard.auth.visitors import check_site
from phospho_dashboard.services import Endpoints, Services
from phospho_dashboard.web.forms import Form, read_form
from phospho_dashboard.web.origins import check_host, client_address, is_encrypted, is_proxied, local_path, networks
from phospho_dashboard.web.rendering import page_response
from phospho_dashboard.web.routes import form_route, page_route
from phospho_store.errors import StoreError
from phospho_web.problems import Problem, problem_of

# Problems that a person can mend in the form itself. Any other has a page of its own.
_MENDED_IN_FORM = frozenset({401, 409, 422, 429})
OPEN_PATH = "/open"
_OIDC_PATH = "/sign-in/oidc"
_OIDC_CALLBACK_PATH = "/sign-in/oidc/callback"
# The time that a browser may take at the provider.
_OIDC_LIFETIME_S = 600
_LOCAL_LIFETIME_S = 365 * 24 * 3600


class SignInPages(Endpoints):
    """The pages for visitors who have not signed in, and the way out."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._settings = services.settings
        self._sign_ins = services.sign_ins
        self._proxies = networks(services.settings.sign_in.trusted_proxies)
        oidc = services.settings.sign_in.oidc
        self._provider = OidcProvider(oidc) if oidc is not None else None

    def routes(self) -> list[BaseRoute]:
        """Return the routes that need no sign-in, and the way out."""
        return [
            page_route("/sign-in", self.sign_in_page),
            form_route("/sign-in", self.sign_in),
            form_route("/sign-out", self.sign_out),
            page_route("/setup", self.set_up_page),
            form_route("/setup", self.set_up),
            page_route(OPEN_PATH, self.open),
            page_route(_OIDC_PATH, self.oidc_start),
            page_route(_OIDC_CALLBACK_PATH, self.oidc_callback),
        ]

    async def sign_in_page(self, request: Request) -> Response:
        return self._render("people/sign_in.html", request.query_params.get("next"))

    async def sign_in(self, request: Request) -> Response:
        form = await self._outside_form(request)
        name, password = form.text("name"), form.raw("password")
        address = client_address(request, self._proxies)
        return await self._enter(
            request, "people/sign_in.html", form, lambda: self._sign_ins.sign_in(name, password, address)
        )

    async def set_up_page(self, request: Request) -> Response:
        return self._render("people/set_up.html", None)

    async def set_up(self, request: Request) -> Response:
        form = await self._outside_form(request)
        code, name, password = form.text("code"), form.text("name"), form.raw("password")
        address = client_address(request, self._proxies)
        return await self._enter(
            request, "people/set_up.html", form, lambda: self._sign_ins.set_up(code, name, password, address)
        )

    async def sign_out(self, request: Request) -> Response:
        """End the sign-in of this browser; one that has ended already is fine too."""
        check_site(request)
        token = request.cookies.get(cookie_name(request), "")
        if token and await self._threads.run(self._sign_ins.signed_in, token) is not None:
            await self._access.form_visitor(request, "none")
            await self._threads.run(self._sign_ins.sign_out, token)
        response = RedirectResponse("/sign-in", 303)
        response.delete_cookie(cookie_name(request), secure=is_encrypted(request), httponly=True, samesite="lax")
        return response

    async def open(self, request: Request) -> Response:
        """
        Give the local user's browser its cookie, at the address that `phospho up` prints; Problem 403 elsewhere.

        That a request comes from loopback proves little: a web server with a `proxy_pass` and no other line, `ssh -R`
        and socat pass a stranger's request on as it was, and other people of the machine are on its loopback as well.
        """
        settings, secret = self._settings, self._settings.local_secret
        sent = request.query_params.get("secret", "")
        is_right = hmac.compare_digest(sent.encode("utf-8", "replace"), secret.encode())
        if not settings.pages_open or not secret or not is_right or is_proxied(request):
            raise Problem(403, "wrong_secret", "this is not the address that `phospho up` printed on this machine")
        check_host(request, settings.allowed_hosts)
        response = RedirectResponse("/", 303)
        response.set_cookie(
            local_cookie_name(secret),
            secret,
            _LOCAL_LIFETIME_S,
            secure=is_encrypted(request),
            httponly=True,
            samesite="lax",
        )
        return response

    async def oidc_start(self, request: Request) -> Response:
        """Send the browser to the provider, with a cookie that ties the answer to this browser."""
        attempt = new_attempt(local_path(request.query_params.get("next")))
        try:
            target = await self._checked_provider().authorization_url(attempt, _redirect_uri(request))
        except Problem as problem:
            return self._render("people/sign_in.html", attempt.next_path, problem)
        response = RedirectResponse(target, 303)
        response.set_cookie(
            _oidc_cookie_name(request),
            attempt.encoded(),
            _OIDC_LIFETIME_S,
            secure=is_encrypted(request),
            httponly=True,
            samesite="lax",
        )
        return response

    async def oidc_callback(self, request: Request) -> Response:
        """Sign the browser in as the person whom the provider names; or show the form with what is wrong."""
        attempt = attempt_of(request.cookies.get(_oidc_cookie_name(request), ""))
        next_path = attempt.next_path if attempt is not None else "/"
        try:
            token = await self._oidc_token(request, attempt)
        except (Problem, StoreError) as error:
            response = self._render("people/sign_in.html", next_path, problem_of(error))
        else:
            response = RedirectResponse(local_path(next_path), 303)
            set_sign_in_cookie(response, request, token, self._settings.sign_in.lifetime_s)
        cookie = _oidc_cookie_name(request)
        response.delete_cookie(cookie, secure=is_encrypted(request), httponly=True, samesite="lax")
        return response

    async def _oidc_token(self, request: Request, attempt: Attempt | None) -> str:
        provider, query = self._checked_provider(), request.query_params
        if attempt is None or not hmac.compare_digest(query.get("state", "").encode(), attempt.state.encode()):
            raise Problem(400, "wrong_state", "this sign-in was begun elsewhere or long ago", "sign in again")
        if "error" in query:
            message = f"the provider did not sign you in: {query['error'][:100]}"
            raise Problem(403, "provider_refused", message, query.get("error_description", "sign in again")[:300])
        address = client_address(request, self._proxies)
        self._sign_ins.count_callback(address)
        identity = await provider.identity(query.get("code", ""), attempt, _redirect_uri(request))
        return await self._threads.run(self._sign_ins.sign_in_as, identity, address, partial(note_roles, request))

    def _checked_provider(self) -> OidcProvider:
        if self._provider is None:
            raise Problem(404, "no_provider", "there is no sign-in provider here", "set PHOSPHO_OIDC_ISSUER")
        return self._provider

    async def _outside_form(self, request: Request) -> Form:
        """Return a form of a visitor without a cookie: only the page's origin proves where it comes from."""
        check_site(request)
        return await read_form(request, self._settings.max_body_bytes)

    async def _enter(self, request: Request, template: str, form: Form, open_sign_in: Callable[[], str]) -> Response:
        """Sign the browser in, with a token that it never had, and go on; or show the form with what is wrong."""
        try:
            token = await self._services.password_threads.run(open_sign_in)
        except Problem as problem:
            if problem.status not in _MENDED_IN_FORM:
                raise
            return self._render(template, form.raw("next", 4000), problem, form.text("name"))
        response = RedirectResponse(local_path(form.raw("next", 4000)), 303)
        set_sign_in_cookie(response, request, token, self._settings.sign_in.lifetime_s)
        return response

    def _render(self, template: str, next_path: str | None, problem: Problem | None = None, name: str = "") -> Response:
        is_local = self._settings.pages_open
        sign_in = self._settings.sign_in
        content = {"next_path": local_path(next_path), "problem": problem, "name": name, "is_local": is_local}
        content |= {"has_passwords": sign_in.has_passwords, "oidc_label": sign_in.oidc.label if sign_in.oidc else ""}
        if problem is None:
            return page_response(template, content)
        return page_response(template, content, problem.status, problem.headers())


def _oidc_cookie_name(request: Request) -> str:
    return f"{cookie_name(request)}-oidc"


def _redirect_uri(request: Request) -> str:
    """Return the address of the callback, as the browser and the provider know it."""
    scheme = "https" if is_encrypted(request) else "http"
    return f"{scheme}://{request.url.netloc}{_OIDC_CALLBACK_PATH}"
