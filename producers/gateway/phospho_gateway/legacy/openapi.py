"""Decorators that declare the endpoints of the legacy API with their OpenAPI operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel

from phospho_gateway.legacy.page_requests import MAX_LIMIT
from phospho_web.endpoints import Method, api_endpoint
from phospho_web.openapi import TEXT, query_parameter

UPSTREAM = "What the clients of upstream phospho send."
CONVERSATION_ORDER = "In the order of the conversation."
_PAGE = (
    query_parameter("limit", {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT}, "How many, 1,000 by default."),
    query_parameter("cursor", TEXT, "next_cursor of the page before."),
)


def legacy_get(path: str, summary: str, answer: type[BaseModel], **more: Any) -> Callable[[Method], Method]:
    """Declare an endpoint that reads."""
    return api_endpoint("get", path, summary, answer, tags=("legacy",), **({"success": "It."} | more))


def legacy_get_page(path: str, summary: str, answer: type[BaseModel], description: str) -> Callable[[Method], Method]:
    """Declare an endpoint that reads a page, by its query."""
    return legacy_get(path, summary, answer, description=description, success="A page.", parameters=_PAGE)


def legacy_post(path: str, summary: str, answer: type[BaseModel], body: Any, **more: Any) -> Callable[[Method], Method]:
    """Declare an endpoint that writes."""
    return api_endpoint(
        "post", path, summary, answer, body=body, tags=("legacy",), **({"success": "It is stored."} | more)
    )


def legacy_post_page(
    path: str, summary: str, answer: type[BaseModel], body: Any, *, description: str
) -> Callable[[Method], Method]:
    """Declare an endpoint that reads a page, by its body."""
    return legacy_post(path, summary, answer, body, description=description, success="A page.", is_body_required=False)
