"""The gateway as an ASGI app: from a request to durable messages of `phospho.raw-logs`."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect

from phospho_gateway.access.access import Access
from phospho_gateway.access.rate_limit import RateLimitHeaders
from phospho_gateway.intake.body import BodyReader
from phospho_gateway.intake.budget import ByteBudget
from phospho_gateway.intake.events_api import EventsApi
from phospho_gateway.intake.intake import Intake
from phospho_gateway.legacy.log_api import LegacyApi
from phospho_gateway.legacy.reads.reads import Reads
from phospho_gateway.legacy.routes import legacy_routes
from phospho_gateway.legacy.services import LegacyServices
from phospho_gateway.metrics import GatewayMetrics
from phospho_gateway.openapi.docs import docs_routes
from phospho_gateway.operations import Check, Operations
from phospho_gateway.otlp.endpoint import TracesApi
from phospho_gateway.publishing.publisher import Publisher
from phospho_gateway.settings import GatewaySettings
from phospho_gateway.telemetry import Telemetry
from phospho_schemas.ids import HybridClock
from phospho_store.registry.authentication import Authenticator
from phospho_store.registry.quotas import DailyQuotas
from phospho_web.problems import Problem
from phospho_web.responses import on_disconnect, on_error, on_http_exception


def create_app(
    settings: GatewaySettings,
    authenticator: Authenticator,
    publisher: Publisher,
    clock: HybridClock,
    reads: Reads,
    readiness: Mapping[str, Check],
    metrics: GatewayMetrics | None = None,
    quotas: DailyQuotas | None = None,
) -> Starlette:
    """
    Return the app. It starts nothing and owns nothing that has to be closed.

    `reads` is what the legacy API answers from; who made it closes it. `readiness` maps the name of a dependency to a
    check that says what is wrong with it, or None; checks may block.
    `quotas` bounds the tasks of a project and day; who passes it keeps it fresh.
    """
    metrics = metrics or GatewayMetrics()
    access = Access(authenticator, settings)
    budget = ByteBudget(settings.max_in_flight_bytes, settings.retry_after_s, metrics.in_flight_bytes)
    bodies = BodyReader(settings, metrics)
    intake = Intake(settings, publisher, clock, _place(clock), metrics, quotas)
    app = Starlette(
        routes=[
            *EventsApi(access, budget, bodies, intake).routes(),
            *LegacyApi(settings, access, budget, bodies, intake).routes(),
            *TracesApi(settings, access, budget, bodies, intake, metrics).routes(),
            *legacy_routes(LegacyServices(settings, access, budget, bodies, intake, reads)),
            *Operations(readiness, settings.readiness_timeout_s, metrics).routes(),
            *docs_routes(),
        ],
        middleware=[Middleware(Telemetry, metrics=metrics), *_cors(settings), Middleware(RateLimitHeaders)],
        exception_handlers={
            Problem: on_error,
            HTTPException: on_http_exception,
            ClientDisconnect: on_disconnect,
        },
    )
    app.router.redirect_slashes = False
    return app


def _cors(settings: GatewaySettings) -> list[Middleware]:
    if not settings.cors_origins:
        return []
    headers = ["Authorization", "Content-Type", "Content-Encoding", "Idempotency-Key", "X-Phospho-Project"]
    exposed = ["X-Request-ID", "Retry-After", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"]
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors_origins),
            allow_methods=["GET", "POST"],
            allow_headers=headers,
            expose_headers=exposed,
        )
    ]


def _place(clock: HybridClock) -> str:
    """Name this process among all gateways there were and will be."""
    return f"{socket.gethostname()}:{os.getpid()}:{clock.next()}"
