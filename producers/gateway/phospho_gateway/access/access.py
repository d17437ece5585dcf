"""API keys: the project that a request may write to, and that of each message in it."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from starlette.requests import Request

from phospho_gateway.access.rate_limit import RateLimit
from phospho_gateway.settings import GatewaySettings
from phospho_schemas.ids import is_project_id
from phospho_schemas.messages import KeyScope
from phospho_store.errors import StoreError
from phospho_store.registry.authentication import Authenticator, Principal
from phospho_web.problems import Problem, invalid, missing_scope, store_unavailable, unauthorized, wrong_project
from phospho_web.requests import PROJECT_HEADER, bearer_secret

_LOOKUP_THREADS = 4

_Lookup = asyncio.Future[Principal | None]


class Access:
    """
    Checks the bearer key of requests.

    A cached key costs no wait. Another one is looked up in a thread, once for all requests with it. The threads are
    its own: look-ups that hang with ClickHouse must not hold up the readiness checks.
    """

    def __init__(self, authenticator: Authenticator, settings: GatewaySettings) -> None:
        self._authenticator = authenticator
        self._rate_limit = RateLimit(settings.rate_limit)
        self._settings = settings
        self._threads = ThreadPoolExecutor(_LOOKUP_THREADS, thread_name_prefix="key-lookup")
        self._lookups: dict[str, _Lookup] = {}

    async def project(
        self, request: Request, path_project_id: str | None = None, scope: KeyScope | None = "ingest"
    ) -> str | None:
        """
        Return the project that the request may write to, or read; None for an administrator who names none.

        With `scope` None, a key of any scope will do.

        Raises Problem: 401 for a missing, unknown, revoked or expired key, 403 for a path or header that names another
        project or a key without the scope, 429 above the rate limit, 503 if the key can't be looked up.
        """
        secret = bearer_secret(request)
        if secret is None:
            raise unauthorized()
        principal = await self._principal(secret)
        self._rate_limit.take(request, secret)
        if scope is not None and not principal.has_scope(scope):
            raise missing_scope(scope)
        named = [name for name in (path_project_id, request.headers.get(PROJECT_HEADER)) if name]
        if principal.project_id is not None:
            named.append(principal.project_id)
        if len(set(named)) > 1:
            raise wrong_project()
        return checked_project_id(named[0]) if named else None

    async def own_project(self, request: Request, scope: KeyScope | None = "read") -> str:
        """
        Return the project that a request is about, by its path or its key.

        Raises Problem as `project` does, and 422 for an administrator who names none.
        """
        return required_project(await self.project(request, request.path_params.get("project_id"), scope))

    async def _principal(self, secret: str) -> Principal:
        principal = self._authenticator.cached(secret) or await self._look_up(secret)
        if principal is None or (principal.project_id is None and not principal.is_admin):
            raise unauthorized()
        return principal

    async def _look_up(self, secret: str) -> Principal | None:
        """Return the principal in the store; if the store doesn't answer in time, the one it returned last."""
        settings = self._settings
        lookup = self._lookup(secret)
        if lookup is None or not await _is_done(lookup, settings.refresh_timeout_s):
            if (stale := self._authenticator.stale(secret)) is not None:
                return stale
            if lookup is None or not await _is_done(lookup, settings.lookup_timeout_s - settings.refresh_timeout_s):
                raise self._unavailable()
        try:
            return lookup.result()
        except StoreError:
            raise self._unavailable() from None

    def _lookup(self, secret: str) -> _Lookup | None:
        """Return the running look-up of a secret, or a new one; None if too many run."""
        if secret in self._lookups:
            return self._lookups[secret]
        if len(self._lookups) >= self._settings.max_lookups:
            return None
        loop = asyncio.get_running_loop()
        lookup = loop.run_in_executor(self._threads, self._authenticator.principal, secret)
        self._lookups[secret] = lookup
        lookup.add_done_callback(lambda done: self._finish(secret, done))
        return lookup

    def _finish(self, secret: str, done: _Lookup) -> None:
        del self._lookups[secret]
        if not done.cancelled():
            # Marks an error as seen, in case nobody waits for it any more.
            done.exception()

    def _unavailable(self) -> Problem:
        return store_unavailable("API keys can't be checked at this moment", self._settings.retry_after_s)


async def _is_done(lookup: _Lookup, timeout_s: float) -> bool:
    """Wait for a look-up without cancelling it: other requests may still wait for it."""
    done, _ = await asyncio.wait([lookup], timeout=max(timeout_s, 0.0))
    return bool(done)


def project_of(message: dict[str, Any], granted: str | None) -> str:
    """
    Return the project of a message: the granted one, or, for an administrator (None), the one that it names.

    Raises Problem: 403 where it names another than the granted one, 422 where it names none or no project id.
    """
    named = message.get("project_id")
    if named is None or named == "":
        return required_project(granted)
    if granted is not None and named != granted:
        raise wrong_project()
    return checked_project_id(named)


def required_project(granted: str | None) -> str:
    """Return the granted project. Raises Problem (422) for an administrator, who has to name one."""
    if granted is None:
        raise invalid(
            "project_required",
            "an administrator's request names no project",
            "set project_id, or the header X-Phospho-Project",
        )
    return granted


def checked_project_id(value: Any) -> str:
    """Return a project id. Raises Problem (422) where it can't be one."""
    if type(value) is str and is_project_id(value):
        return value
    raise invalid(
        "invalid_project_id",
        "project_id is not an id of a project",
        "use 1 to 128 letters, digits, dots, dashes or underscores",
    )
