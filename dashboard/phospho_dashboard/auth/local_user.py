"""
The local user: the address that `phospho up` prints holds a secret, which the browser keeps as a cookie.

That a request comes from loopback proves little: a web server with a `proxy_pass` and no other line, `ssh -R` and socat
pass a stranger's request on as it was, and other people of the machine are on its loopback as well.
"""

from __future__ import annotations

import hmac

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute

from phospho_dashboard.auth.access import local_cookie_name
from phospho_dashboard.settings import DashboardSettings
from phospho_dashboard.web.origins import check_host, is_encrypted, is_proxied
from phospho_dashboard.web.routes import page_route
from phospho_web.problems import Problem

OPEN_PATH = "/open"
_LIFETIME_S = 365 * 24 * 3600


def local_user_routes(settings: DashboardSettings) -> list[BaseRoute]:
    """Return the route of the address that `phospho up` prints."""
    return [page_route(OPEN_PATH, LocalUserPages(settings).open)]


class LocalUserPages:
    """The page that signs the local user's browser in."""

    def __init__(self, settings: DashboardSettings) -> None:
        self._settings = settings

    async def open(self, request: Request) -> Response:
        """Give the browser the cookie, and go on to the pages; Problem 403 for another secret."""
        settings, secret = self._settings, self._settings.local_secret
        sent = request.query_params.get("secret", "")
        is_right = hmac.compare_digest(sent.encode("utf-8", "replace"), secret.encode())
        if not settings.pages_open or not secret or not is_right or is_proxied(request):
            raise Problem(403, "wrong_secret", "this is not the address that `phospho up` printed on this machine")
        check_host(request, settings.allowed_hosts)
        response = RedirectResponse("/", 303)
        response.set_cookie(
            local_cookie_name(secret), secret, _LIFETIME_S, secure=is_encrypted(request), httponly=True, samesite="lax"
        )
        return response
