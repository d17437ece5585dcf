"""The base classes of a feature's endpoints. Those of the query API are declared with their OpenAPI operation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from starlette.requests import Request
from starlette.routing import BaseRoute, Route

from phospho_dashboard.services import Services
from phospho_web.bodies import read_object
from phospho_web.cursors import DEFAULT_PAGE, MAX_PAGE
from phospho_web.openapi import ANY_OBJECT, Json, Operation, query_parameter
from phospho_web.responses import Endpoint, with_json_errors

P = ParamSpec("P")
Method = TypeVar("Method", bound=Callable[..., Any])

_OPERATION = "api_operation"

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


class ApiEndpoints(Endpoints):
    """
    The base of the query API of a feature: its methods under `api_endpoint` are its routes, below `/api/v1`.

    The first route that fits takes a request, so the order of the methods counts.
    """

    @classmethod
    def operations(cls) -> list[Operation]:
        """Return the OpenAPI operations."""
        return list(_operations(cls).values())

    def routes(self) -> list[BaseRoute]:
        """Return the routes; their errors are JSON."""
        return [_api_route(operation, getattr(self, name)) for name, operation in _operations(type(self)).items()]

    async def _body(self, request: Request) -> dict[str, Any]:
        """Return the JSON object in the body of a request. Raises Problem (400, 413, 422)."""
        return await read_object(request, self._services.settings.max_body_bytes)


def _declare_with(describe: Callable[P, Operation]) -> Callable[P, Callable[[Method], Method]]:
    def declare(*args: P.args, **kwargs: P.kwargs) -> Callable[[Method], Method]:
        def with_operation(method: Method) -> Method:
            setattr(method, _OPERATION, describe(*args, **kwargs))
            return method

        return with_operation

    return declare


# The decorator of an endpoint of the query API. It takes what Operation takes; the path is below `/api/v1`.
api_endpoint = _declare_with(Operation)


def _operations(api: type[ApiEndpoints]) -> dict[str, Operation]:
    """Return the operations of a class by the names of their methods, in the order of the class."""
    return {name: getattr(method, _OPERATION) for name, method in vars(api).items() if hasattr(method, _OPERATION)}


def _api_route(operation: Operation, endpoint: Endpoint) -> Route:
    path = f"/api/v1{operation.path}"
    return Route(path, with_json_errors(endpoint), methods=[operation.method.upper()])
