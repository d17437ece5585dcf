"""One port for two apps: what is the gateway's by its path, and all the rest."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

_GATEWAY_PATHS = ("/api/v1/events", "/v1/", "/v2/", "/v3/", "/healthz", "/readyz", "/metrics", "/docs", "/openapi.json")


class FrontDoor:
    """Routes by the first part of the path. Neither app has a lifespan of its own."""

    def __init__(self, gateway: ASGIApp, pages: ASGIApp) -> None:
        self._gateway = gateway
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_gateways = scope["type"] == "http" and scope["path"].startswith(_GATEWAY_PATHS)
        await (self._gateway if is_gateways else self._pages)(scope, receive, send)
