"""Endpoints that are declared with their OpenAPI operations, so that routes and document have one source."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, ParamSpec, TypeVar

from starlette.routing import BaseRoute, Route

from phospho_web.openapi import Operation
from phospho_web.responses import Endpoint

P = ParamSpec("P")
Method = TypeVar("Method", bound=Callable[..., Any])

_OPERATIONS = "api_operations"


class ApiEndpoints:
    """
    The base of an API: its methods under `api_endpoint` are its routes, below `prefix`.

    The first route that fits takes a request, so the order of the methods counts.
    """

    prefix: ClassVar[str] = ""

    @classmethod
    def operations(cls) -> list[Operation]:
        """Return the OpenAPI operations."""
        return [operation for operations in _operations(cls).values() for operation in operations]

    def routes(self) -> list[BaseRoute]:
        """Return the routes."""
        return [
            Route(self.prefix + path, self._respond(getattr(self, name)), methods=methods)
            for name, operations in _operations(type(self)).items()
            for path, methods in _methods_by_path(operations).items()
        ]

    def _respond(self, endpoint: Endpoint) -> Endpoint:
        """Return the endpoint as it is served; a subclass may map its errors."""
        return endpoint


def _declare_with(describe: Callable[P, Operation]) -> Callable[P, Callable[[Method], Method]]:
    def declare(*args: P.args, **kwargs: P.kwargs) -> Callable[[Method], Method]:
        def with_operation(method: Method) -> Method:
            # Decorators are applied from below.
            setattr(method, _OPERATIONS, [describe(*args, **kwargs), *getattr(method, _OPERATIONS, [])])
            return method

        return with_operation

    return declare


# The decorator of an endpoint, which takes what Operation takes. One with several operations is declared with each.
api_endpoint = _declare_with(Operation)


def declared_operations(endpoint: Callable[..., Any]) -> list[Operation]:
    """Return the operations that a method was declared with."""
    return list(getattr(endpoint, _OPERATIONS, []))


def _operations(api: type[ApiEndpoints]) -> dict[str, list[Operation]]:
    """Return the operations of a class by the names of its methods, in their order."""
    return {name: getattr(method, _OPERATIONS) for name, method in vars(api).items() if hasattr(method, _OPERATIONS)}


def _methods_by_path(operations: list[Operation]) -> dict[str, list[str]]:
    methods: dict[str, list[str]] = {}
    for operation in operations:
        methods.setdefault(operation.path, []).append(operation.method.upper())
    return methods
