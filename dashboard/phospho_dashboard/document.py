"""`/api/openapi.json`: the query API as OpenAPI 3.1. Each feature describes its operations."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from phospho_web import openapi
from phospho_web.openapi import Api, Json, Operation, Problems, header_parameter

_API = Api(
    title="phospho: query and management",
    description="Read what was logged and found, and set what is looked for. Ingest is described in /openapi.json of "
    "the same server. Errors have one shape: code, message, hint. Lists come in pages: send `next_cursor` of one as "
    "`cursor` of the next, until it is null; rows that come meanwhile move nothing.",
    problems=Problems(
        {
            400: "The query or the body can't be read.",
            401: "The API key is missing, unknown or revoked.",
            403: "The key is another project's, or may not do this.",
            404: "There is nothing of that name.",
            409: "It is there already, or stands in the way of something.",
            413: "The body is too large.",
            422: "The content is not valid; the message says what and why.",
            503: "ClickHouse or Kafka does not answer: send the same request again after the time in Retry-After.",
        }
    ),
    parameters=(
        header_parameter(
            "X-Phospho-Project", "The project, for an administrator's key; the oldest one where it is missing."
        ),
    ),
    prefix="/api/v1",
)


def document(operations: Iterable[Operation]) -> Json:
    """Return the document."""
    return openapi.document(_API, operations)


def openapi_routes(operations: Callable[[], Iterable[Operation]]) -> list[BaseRoute]:
    """Return the route of the document, which the first request makes. It needs no key: it names no project."""

    async def openapi_json(request: Request) -> Response:
        return Response(_encoded_document(operations), media_type=openapi.JSON)

    return [Route("/api/openapi.json", openapi_json)]


@cache
def _encoded_document(operations: Callable[[], Iterable[Operation]]) -> bytes:
    return openapi.encoded(document(operations()))
