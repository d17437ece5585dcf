"""Who may see what: keys for the API, keys or loopback for the pages, and the project that a request means."""

from __future__ import annotations

import base64
import binascii

from starlette.requests import Request

from phospho_dashboard.services import Services
from phospho_schemas.errors import Problem, unauthorized, wrong_project
from phospho_schemas.messages import Project
from phospho_store.auth import Principal

PROJECT_HEADER = "x-phospho-project"
_LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})


class Access:
    """The checks in front of every endpoint. Each raises Problem with 400, 401, 403 or 404."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def of_api(self, request: Request) -> Principal:
        """Return who asks the API: a bearer of a key."""
        scheme, _, secret = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not secret.strip():
            raise unauthorized()
        return await self._principal(secret.strip())

    async def of_page(self, request: Request) -> Principal:
        """Return who asks for a page: a bearer, the password of HTTP Basic, or anybody where pages are open."""
        scheme, _, rest = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return await self.of_api(request)
        if scheme.lower() == "basic":
            return await self._principal(_basic_password(rest))
        if not self._services.settings.pages_open:
            raise unauthorized("any user name, and an API key as the password")
        self._refuse_foreign_host(request)
        return Principal(None, is_admin=True)

    async def project_id(self, principal: Principal, wanted: str | None) -> str:
        """Return the project that a request is about: the key's own, else the one named, else the oldest."""
        if principal.project_id is not None:
            return _own_project(principal.project_id, wanted)
        projects = await self.projects(principal)
        known = [project.project_id for project in projects]
        if wanted is None and known:
            return known[0]
        if wanted is None:
            raise Problem(404, "no_project", "there is no project yet", "create one: phospho projects create NAME")
        if wanted not in known:
            raise Problem(404, "unknown_project", f"there is no project {wanted!r}", "list them: phospho projects list")
        return wanted

    async def projects(self, principal: Principal) -> list[Project]:
        """Return the projects that `principal` may see, the oldest first."""
        projects = await self._services.threads.run(self._services.registry.projects)
        return [p for p in projects if principal.project_id in (None, p.project_id)]

    async def of_api_project(self, request: Request) -> str:
        """Return the project of an API request: the key's, or for an administrator the header's."""
        return await self.project_id(await self.of_api(request), request.headers.get(PROJECT_HEADER))

    async def _principal(self, secret: str) -> Principal:
        authenticator = self._services.authenticator
        known = authenticator.cached(secret) or await self._services.threads.run(authenticator.principal, secret)
        if known is None:
            raise unauthorized()
        return known

    def _refuse_foreign_host(self, request: Request) -> None:
        """
        Refuse a Host that is not ours.

        A site that points its own name at 127.0.0.1 (DNS rebinding) is of the same origin as what it reads there;
        the name that it used is all that tells its requests from the local user's.
        """
        host = request.url.hostname or ""
        if host not in _LOOPBACK_HOSTS and host not in self._services.settings.allowed_hosts:
            raise Problem(
                421, "foreign_host", f"this server does not answer for {host!r}", "open it by its address of loopback"
            )


def _own_project(own: str, wanted: str | None) -> str:
    if wanted not in (None, own):
        raise wrong_project()
    return own


def _basic_password(encoded: str) -> str:
    try:
        _, _, password = base64.b64decode(encoded, validate=True).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise Problem(400, "malformed_authorization", "the Basic authorization can't be read") from None
    return password
