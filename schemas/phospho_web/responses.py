"""JSON responses, and the handlers that turn errors into them."""

from __future__ import annotations

import http
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from phospho_store.errors import StoreError
from phospho_web.problems import Problem, problem_of

Endpoint = Callable[[Request], Awaitable[Response]]

logger = logging.getLogger(__name__)

_CODES = {404: "not_found", 405: "method_not_allowed"}
_HINTS = {404: "the API is described at /docs", 405: "the methods of this path are in the header Allow"}
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def json_response(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return `content` as JSON, which no cache may keep."""
    body = orjson.dumps(content, option=orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z)
    return Response(body, status, _HEADERS | headers if headers else _HEADERS, media_type="application/json")


def problem_response(problem: Problem) -> Response:
    """Return a problem as JSON, with its status and headers."""
    return json_response(problem.body(), problem.status, problem.headers())


def with_json_errors(endpoint: Endpoint) -> Endpoint:
    """Return `endpoint` with its problems and the store's errors as JSON responses."""

    async def respond(request: Request) -> Response:
        try:
            return await endpoint(request)
        except (Problem, StoreError) as error:
            return problem_response(problem_of(error))

    return respond


async def on_error(request: Request, error: Exception) -> Response:
    """Handle a Problem or an error of the store."""
    assert isinstance(error, Problem | StoreError)
    return problem_response(problem_of(error))


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Handle what the router raises: an unknown path, or a method that the path doesn't have."""
    assert isinstance(error, HTTPException)
    code = _CODES.get(error.status_code, "http_error")
    message = f"{http.HTTPStatus(error.status_code).phrase}: {request.method} {request.url.path}"
    response = problem_response(Problem(error.status_code, code, message, _HINTS.get(error.status_code, "")))
    response.headers.update(error.headers or {})
    return response


async def on_disconnect(request: Request, error: Exception) -> Response:
    """Handle a client that went away while it sent its body; 499 is nginx's status for that, and nobody reads it."""
    logger.info("the client went away before its body was complete")
    return Response(status_code=499)
