"""The base classes of a feature's endpoints: of its pages, and of its part of the query API."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from phospho_dashboard.services import Services
from phospho_web import endpoints
from phospho_web.bodies import read_object
from phospho_web.cursors import DEFAULT_PAGE, MAX_PAGE
from phospho_web.openapi import ANY_OBJECT, Json, query_parameter
from phospho_web.responses import Endpoint, with_json_errors

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
        return with_json_errors(endpoint)
