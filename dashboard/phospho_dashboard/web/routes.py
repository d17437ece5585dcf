"""Routes of the query API."""

from __future__ import annotations

from starlette.routing import Route

from phospho_web.responses import Endpoint, with_json_errors


def api_route(method: str, path: str, endpoint: Endpoint) -> Route:
    """Return the route of an endpoint below `/api/v1`, whose errors are JSON."""
    return Route(f"/api/v1{path}", with_json_errors(endpoint), methods=[method])
