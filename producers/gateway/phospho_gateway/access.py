"""Who asks, and for which project."""

from __future__ import annotations

import asyncio

from starlette.requests import Request

from phospho_gateway.fields import checked_project_id, wrong_project
from phospho_gateway.settings import GatewaySettings
from phospho_schemas.errors import Problem
from phospho_store.auth import Authenticator, Principal
from phospho_store.errors import StoreError

PROJECT_HEADER = "x-phospho-project"
_MAX_SECRET_CHARACTERS = 512


class Access:
    """
    Checks the bearer key of requests.

    A key that is cached costs no wait; another is looked up in a thread, once for all the requests that bring it.
    """

    def __init__(self, authenticator: Authenticator, settings: GatewaySettings) -> None:
        self._authenticator = authenticator
        self._settings = settings
        self._lookups: dict[str, asyncio.Task[Principal | None]] = {}

    async def project(self, request: Request, path_project_id: str | None = None) -> str | None:
        """
        Return the project that the request may write to; None for an administrator who names none yet.

        Raises Problem: 401 for a key that is missing, unknown or revoked, 403 for a path or a header that names
        another project, 503 where the store can't say.
        """
        principal = await self._principal(_secret(request))
        named = [name for name in (path_project_id, request.headers.get(PROJECT_HEADER)) if name]
        if principal.project_id is not None:
            named.append(principal.project_id)
        if len(set(named)) > 1:
            raise wrong_project()
        return checked_project_id(named[0]) if named else None

    async def _principal(self, secret: str) -> Principal:
        principal = self._authenticator.cached(secret) or await self._looked_up(secret)
        if principal is None or (principal.project_id is None and not principal.is_admin):
            raise _unauthorized()
        return principal

    async def _looked_up(self, secret: str) -> Principal | None:
        try:
            # Shielded: who gives up waiting must not take the answer from the others.
            return await asyncio.wait_for(asyncio.shield(self._lookup(secret)), self._settings.lookup_timeout_s)
        except (StoreError, TimeoutError):
            raise self._unavailable() from None

    def _lookup(self, secret: str) -> asyncio.Task[Principal | None]:
        if secret in self._lookups:
            return self._lookups[secret]
        if len(self._lookups) >= self._settings.max_lookups:
            raise self._unavailable()
        task = asyncio.create_task(asyncio.to_thread(self._authenticator.principal, secret))
        self._lookups[secret] = task
        task.add_done_callback(lambda done: self._finish(secret, done))
        return task

    def _finish(self, secret: str, done: asyncio.Task[Principal | None]) -> None:
        del self._lookups[secret]
        if not done.cancelled():
            # Marks an error as seen, should everybody have stopped waiting for it.
            done.exception()

    def _unavailable(self) -> Problem:
        return Problem(
            503,
            "store_unavailable",
            "API keys can't be checked at this moment",
            "send the same request again after the time in Retry-After",
            self._settings.retry_after_s,
        )


def _secret(request: Request) -> str:
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    secret = secret.strip()
    if scheme.lower() != "bearer" or not 0 < len(secret) <= _MAX_SECRET_CHARACTERS:
        raise _unauthorized()
    return secret


def _unauthorized() -> Problem:
    """Return the one answer to a missing, an unknown and a revoked key: it tells nobody which it was."""
    return Problem(
        401, "unauthorized", "a valid API key is needed", "send it in the header Authorization: Bearer ph_..."
    )
