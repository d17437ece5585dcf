"""How requests are read and answered: bounded JSON bodies in, one JSON shape of errors out."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from phospho_schemas.errors import Problem, malformed_json, store_unavailable
from phospho_store.errors import StatementRefused, StoreUnavailable

Endpoint = Callable[[Request], Awaitable[Response]]

_RETRY_AFTER_S = 2

logger = logging.getLogger(__name__)


def json_response(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return `content` as JSON; nothing that the API says may be kept by a cache."""
    body = orjson.dumps(content, option=orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z)
    fixed = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    return Response(body, status, fixed | (headers or {}), media_type="application/json")


def problem_response(problem: Problem) -> Response:
    """Return `problem` in the one shape of errors."""
    return json_response(problem.body(), problem.status, problem.headers())


def as_problem(error: Problem | StoreUnavailable | StatementRefused) -> Problem:
    """Return what a client is told of `error`. What the store refused of ours is our fault, and no detail is told."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, StoreUnavailable):
        logger.warning("the store is away: %s", error)
        return store_unavailable("ClickHouse does not answer", _RETRY_AFTER_S)
    logger.error("the store refused a statement: %s", error)
    return Problem(500, "internal_error", "the store refused a statement", "the server's log says more")


def answered(endpoint: Endpoint) -> Endpoint:
    """Return `endpoint` with its errors turned into answers in JSON."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except (Problem, StoreUnavailable, StatementRefused) as error:
            return problem_response(as_problem(error))

    return answer


async def json_object(request: Request, max_bytes: int) -> dict[str, Any]:
    """Return the JSON object in the body; an empty body is an empty object. Raises Problem 400, 413 or 422."""
    body = await bounded_body(request, max_bytes)
    try:
        content = orjson.loads(body) if body.strip() else {}
    except orjson.JSONDecodeError as error:
        raise malformed_json(f"the body is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise Problem(422, "invalid_body", "the body is not an object", "send a JSON object")
    return content


def text_field(content: dict[str, Any], name: str, default: str | None = None, max_length: int = 512) -> str:
    """Return a field of a body that is a string; Problem 422 where it is not, or missing without a default."""
    value = content.get(name, default)
    if not isinstance(value, str) or len(value) > max_length:
        raise Problem(422, "invalid_field", f"{name!r} must be a string of at most {max_length} characters")
    return value


async def bounded_body(request: Request, max_bytes: int) -> bytes:
    """Return the body; Problem 413 as soon as it is larger than `max_bytes`."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            raise Problem(413, "body_too_large", f"the body is larger than {max_bytes} bytes", "send it in parts")
    return bytes(body)


def api_endpoint(method: str, path: str, endpoint: Endpoint) -> Route:
    """Return the route of an endpoint of the API."""
    return Route(f"/api/v1{path}", answered(endpoint), methods=[method])
