"""
The gateway as an ASGI app. A request passes, in this order:

1. `Telemetry`: request id, counts, and the 500 of an unexpected error; then CORS and the headers of rate limits.
2. An endpoint: `/api/v1` (intake), OTLP, or the legacy API.
3. `Access`: the key, its rate limit and its project.
4. `Bodies`: the body, within the limits of time and bytes.
5. `Intake`: events and feedback, checked one by one and made messages of `phospho.raw-logs`.
6. The publisher: a success is answered when every message is durable.
"""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from phospho_gateway.access.access import Access
from phospho_gateway.access.rate_limit import RateLimitHeaders
from phospho_gateway.docs import docs_routes
from phospho_gateway.health import Check, HealthApi
from phospho_gateway.intake.bodies import Bodies
from phospho_gateway.intake.events_api import EventsApi
from phospho_gateway.intake.intake import Intake
from phospho_gateway.intake.receipts import HEADER, ReceiptHeader
from phospho_gateway.legacy.flat_update_api import FlatUpdateApi
from phospho_gateway.legacy.log_api import LogApi
from phospho_gateway.legacy.messages_api import MessagesApi
from phospho_gateway.legacy.project_api import ProjectApi
from phospho_gateway.legacy.session_api import SessionApi
from phospho_gateway.legacy.task_api import TaskApi
from phospho_gateway.metrics import REGISTRY
from phospho_gateway.otlp.other_signals import other_signal_routes
from phospho_gateway.otlp.traces_api import TracesApi
from phospho_gateway.read_store import GatewayServices, ReadStore
from phospho_gateway.receipts.receipts_api import ReceiptsApi
from phospho_gateway.settings import GatewaySettings
from phospho_gateway.telemetry import Telemetry
from phospho_schemas.ids import HybridClock
from phospho_store.errors import StoreError
from phospho_store.registry.authentication import Authenticator
from phospho_store.registry.quotas import DailyQuotas
from phospho_web.problems import Problem
from phospho_web.publisher import Publisher
from phospho_web.responses import on_disconnect, on_error, on_http_exception


def create_app(
    settings: GatewaySettings,
    *,
    authenticator: Authenticator,
    publisher: Publisher,
    clock: HybridClock,
    reads: ReadStore,
    readiness: Mapping[str, Check],
    quotas: DailyQuotas | None = None,
    registry: CollectorRegistry = REGISTRY,
) -> Starlette:
    """
    Return the app. It starts nothing, and owns nothing that has to be closed.

    `readiness` maps a dependency to a check, which may block, and returns what is wrong or None. The owner of `quotas`
    keeps them fresh. `/metrics` shows those of `registry`.
    """
    services = GatewayServices(
        settings=settings,
        access=Access(authenticator, settings),
        bodies=Bodies(settings),
        intake=Intake(settings, publisher, clock, quotas),
        reads=reads,
    )

    async def on_problem(request: Request, error: Exception) -> Response:
        if isinstance(error, Problem):
            services.intake.refuse(request, error)
        return await on_error(request, error)

    app = Starlette(
        routes=[
            *EventsApi(services).routes(),
            *ReceiptsApi(services).routes(),
            *TracesApi(services).routes(),
            *other_signal_routes(),
            *LogApi(services).routes(),
            *TaskApi(services).routes(),
            *SessionApi(services).routes(),
            *ProjectApi(services).routes(),
            *FlatUpdateApi(services).routes(),
            *MessagesApi(services).routes(),
            *HealthApi(readiness, settings.readiness_timeout_s, registry).routes(),
            *docs_routes(),
        ],
        middleware=[Middleware(Telemetry), *cors(settings), Middleware(RateLimitHeaders), Middleware(ReceiptHeader)],
        exception_handlers={
            Problem: on_problem,
            StoreError: on_error,
            HTTPException: on_http_exception,
            ClientDisconnect: on_disconnect,
        },
    )
    app.router.redirect_slashes = False
    return app


def cors(settings: GatewaySettings) -> list[Middleware]:
    """
    Return the middleware that lets pages of the origins in the settings call the API; none without any.

    The origin decides alone, not the headers: OpenTelemetry's instrumentation of `fetch` adds traceparent and baggage,
    and apps add their own. Cookies are never sent along.
    """
    if not settings.cors_origins:
        return []
    exposed = ["X-Request-ID", HEADER, "Retry-After", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"]
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors_origins),
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["*"],
            expose_headers=exposed,
        )
    ]
