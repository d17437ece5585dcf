"""The JSON of answers; every error has the one shape of Problem."""

from __future__ import annotations

import http
import logging
from typing import Any

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from phospho_schemas.errors import Problem

logger = logging.getLogger(__name__)
_CODES = {404: "not_found", 405: "method_not_allowed"}
_HINTS = {404: "the API is described at /docs", 405: "the methods of this path are in the header Allow"}


def json_answer(document: Any, status: int = 200) -> Response:
    """Return a document as JSON."""
    return Response(orjson.dumps(document), status, media_type="application/json")


def problem_answer(problem: Problem) -> Response:
    """Return an error as JSON, with its headers."""
    return Response(orjson.dumps(problem.body()), problem.status, problem.headers(), media_type="application/json")


async def on_problem(request: Request, error: Exception) -> Response:
    """Answer a Problem that an endpoint raised."""
    assert isinstance(error, Problem)
    return problem_answer(error)


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Answer what the router says, a path or a method that there is not, in the one shape."""
    assert isinstance(error, HTTPException)
    code = _CODES.get(error.status_code, "http_error")
    message = f"{http.HTTPStatus(error.status_code).phrase}: {request.method} {request.url.path}"
    answer = problem_answer(Problem(error.status_code, code, message, _HINTS.get(error.status_code, "")))
    answer.headers.update(error.headers or {})
    return answer


async def on_disconnect(request: Request, error: Exception) -> Response:
    """Answer nobody: the client went away while it sent its body. 499 is nginx's status for that."""
    logger.info("the client went away before its body was complete")
    return Response(status_code=499)
