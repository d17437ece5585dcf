"""One port for two apps: the gateway by its paths, and the pages with their API for all others."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

_GATEWAY_PATHS = ("/api/v1/events", "/v1/", "/v2/", "/v3/", "/healthz", "/readyz", "/metrics", "/docs", "/openapi.json")


class PathRouter:
    """Route requests by the beginning of their path. Neither app has a lifespan of its own."""

    def __init__(self, gateway: ASGIApp, pages: ASGIApp) -> None:
        self._gateway = gateway
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_for_gateway = scope["type"] == "http" and scope["path"].startswith(_GATEWAY_PATHS)
        await (self._gateway if is_for_gateway else self._pages)(scope, receive, send)
