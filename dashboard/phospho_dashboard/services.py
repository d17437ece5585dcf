"""The services that every feature uses, and the base classes of a feature's endpoints."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from phospho_dashboard.auth.access import Access
from phospho_dashboard.auth.directory import Directory, Passwords
from phospho_dashboard.auth.sign_ins import SignIns
from phospho_dashboard.settings import DashboardSettings
from phospho_schemas.ids import HybridClock
from phospho_schemas.times import utc_now
from phospho_store.registry.authentication import Authenticator
from phospho_store.registry.people import People
from phospho_store.registry.registry import Registry
from phospho_store.store import Store
from phospho_web import endpoints
from phospho_web.cursors import DEFAULT_PAGE, MAX_PAGE
from phospho_web.openapi import ANY_OBJECT, Json, query_parameter
from phospho_web.publisher import Publisher
from phospho_web.requests import check_parameters, read_object
from phospho_web.responses import Endpoint, with_json_errors
from phospho_web.threads import FairThreads, StoreThreads


@dataclass(frozen=True)
class Services:
    """
    The foundation of every feature. `publisher` is None where this process can't publish.

    Users' SQL has connections and threads of its own, because slow queries must not hold up ingest or the pages. So
    have exports, whose readers may be slow; calls that take seconds, such as a diff or a request to a webhook; and
    passwords, each of which costs a thread its time and 64 MiB. Projects take turns with SQL and slow calls.
    """

    settings: DashboardSettings
    store: Store
    registry: Registry
    clock: HybridClock
    access: Access
    sign_ins: SignIns
    publisher: Publisher | None
    threads: StoreThreads
    sql_store: Store
    sql_threads: FairThreads
    export_store: Store
    export_threads: StoreThreads
    slow_threads: FairThreads
    password_threads: StoreThreads

    def close(self) -> None:
        """Let the running calls end, and start no other."""
        self.threads.close()
        self.sql_threads.close()
        self.export_threads.close()
        self.slow_threads.close()
        self.password_threads.close()


def create_services(
    settings: DashboardSettings,
    store: Store,
    registry: Registry,
    authenticator: Authenticator,
    *,
    publisher: Publisher | None = None,
    clock: HybridClock | None = None,
    passwords: Passwords | None = None,
    now: Callable[[], datetime] = utc_now,
) -> Services:
    """Build the services of one process; its API and its pages share them."""
    max_waiting = settings.max_waiting_requests
    threads = StoreThreads(settings.store_threads, max_waiting)
    sign_ins = SignIns(Directory(People(store), passwords or Passwords(), now), settings.sign_in, now)
    access = Access(
        settings,
        registry=registry,
        authenticator=authenticator,
        sign_ins=sign_ins,
        threads=threads,
        form_key=settings.form_key or secrets.token_urlsafe(32),
    )
    return Services(
        settings=settings,
        store=store,
        registry=registry,
        clock=clock or HybridClock(),
        access=access,
        sign_ins=sign_ins,
        publisher=publisher,
        threads=threads,
        sql_store=store.sibling(settings.sql_queries),
        sql_threads=FairThreads(settings.sql_queries, max_waiting),
        export_store=store.sibling(settings.exports),
        export_threads=StoreThreads(settings.exports, max_waiting),
        slow_threads=FairThreads(settings.slow_calls, max_waiting),
        password_threads=StoreThreads(settings.password_threads, max_waiting),
    )


# Rows of ClickHouse, or of a page: columns may be added.
ROWS: Json = {"type": "array", "items": ANY_OBJECT}
LIMIT = query_parameter("limit", {"type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": DEFAULT_PAGE})


class Endpoints:
    """The base of the endpoints of a feature: the services that nearly all of them use."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._access = services.access
        self._registry = services.registry
        self._threads = services.threads
        # For calls that take seconds, such as detection on thousands of tasks: they must not hold up the pages.
        self._slow_threads = services.slow_threads


class ApiEndpoints(Endpoints, endpoints.ApiEndpoints):
    """The base of a feature's part of the query API. Errors are JSON."""

    prefix = "/api/v1"

    async def _body(self, request: Request) -> dict[str, Any]:
        """Return the JSON object in the body of a request. Raises Problem (400, 413, 422)."""
        return await read_object(request, self._services.settings.max_body_bytes)

    def _respond(self, endpoint: Endpoint) -> Endpoint:
        return with_json_errors(_with_known_parameters(endpoint))


def _with_known_parameters(endpoint: Endpoint) -> Endpoint:
    """Return an endpoint that answers GET with 400 where a parameter of the query is not declared."""
    reads = [operation for operation in endpoints.declared_operations(endpoint) if operation.method == "get"]
    names = [parameter["name"] for read in reads for parameter in read.parameters if parameter["in"] == "query"]

    async def checked(request: Request) -> Response:
        if request.method in ("GET", "HEAD"):
            check_parameters(request.query_params, names, unnamed=("project",))
        return await endpoint(request)

    return checked
