"""Endpoints of the legacy API: their declarations, the fields of their bodies, and pages of lists."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from starlette.requests import Request

from phospho_gateway.intake.fields import MAX_ID_CHARACTERS, check_identifier
from phospho_web.cursors import decoded_cursor
from phospho_web.endpoints import Method, api_endpoint
from phospho_web.openapi import TEXT, query_parameter
from phospho_web.problems import Problem, invalid
from phospho_web.requests import check_parameters, json_type

DEFAULT_LIMIT = 1_000
MAX_LIMIT = 10_000
# Longer than any cursor: a time, and the longest id with each character in six of JSON.
_MAX_CURSOR_CHARACTERS = 8_192
# A revision in 20 digits, and an id.
_MAX_KEY_CHARACTERS = 20 + MAX_ID_CHARACTERS


@dataclass(frozen=True)
class PageRequest:
    """At most `limit` rows, after the sort key of a cursor."""

    limit: int
    after: tuple[int, str] | None


def page_of_query(request: Request) -> PageRequest:
    """Return the page that the query string asks for. Raises Problem (400, 422)."""
    check_parameters(request.query_params, ("limit", "cursor"), unnamed=())
    text = request.query_params.get("limit", "")
    if text and not (text.isascii() and text.isdigit()):
        raise _bad_limit()
    return PageRequest(_limit(int(text[:9]) if text else None), _cursor_key(request.query_params.get("cursor")))


def page_of_body(body: dict[str, Any]) -> PageRequest:
    """Return the page that `limit` and `cursor` of a body ask for. Raises Problem (400, 422)."""
    return PageRequest(_limit(body.get("limit")), _cursor_key(body.get("cursor")))


def refuse_unknown(body: dict[str, Any], fields: Collection[str]) -> None:
    """Raise Problem (422) for a field that is not among `fields`, unless it is null: it might change the answer."""
    unknown = [name for name, value in body.items() if name not in fields and value is not None]
    if unknown:
        raise invalid(
            "unknown_field", f"{unknown[0][:100]!r} is not known here", f"send {', '.join(sorted(fields))}, or less"
        )


def path_id(request: Request, name: str) -> str:
    """Return an id in the path. Raises Problem (404, 422) for one that is empty or invalid."""
    identifier = check_identifier({name: request.path_params[name]}, name)
    if not identifier:
        raise Problem(404, "not_found", f"{name} is empty", "put it into the path")
    return identifier


def _limit(value: Any) -> int:
    if value is None:
        return DEFAULT_LIMIT
    if type(value) is not int or not 1 <= value <= MAX_LIMIT:
        raise _bad_limit()
    return value


def _cursor_key(cursor: Any) -> tuple[int, str] | None:
    if cursor is not None and (type(cursor) is not str or len(cursor) > _MAX_CURSOR_CHARACTERS):
        raise invalid("invalid_type", "the cursor can't be read", "send the next_cursor of the page before")
    sort_key = decoded_cursor(cursor)
    if sort_key is not None and ("\0" in sort_key[1] or len(sort_key[1]) > _MAX_KEY_CHARACTERS):
        raise Problem(400, "invalid_cursor", "this cursor can't be read", "start from the first page")
    return sort_key


def _bad_limit() -> Problem:
    return invalid("invalid_limit", "limit is not a number of rows", f"use 1 to {MAX_LIMIT}, and cursor for the rest")


def text_field(body: dict[str, Any], name: str) -> str | None:
    """Return a field that is text; None where it is absent or null. Raises Problem (422)."""
    value = body.get(name)
    if value is not None and type(value) is not str:
        raise invalid("invalid_type", f"{name} is {json_type(value)}", f"{name} must be a string")
    return value


def object_field(body: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a field that is an object; empty where it is absent or null. Raises Problem (422)."""
    value = body.get(name)
    if value is not None and type(value) is not dict:
        raise invalid("invalid_type", f"{name} is {json_type(value)}", f"{name} must be an object")
    return value or {}


def switch_field(body: dict[str, Any], name: str, default: bool) -> bool:
    """Return a field that is true or false. Raises Problem (422)."""
    value = body.get(name)
    if value is not None and type(value) is not bool:
        raise invalid("invalid_type", f"{name} is {json_type(value)}", f"{name} must be true or false")
    return default if value is None else value


def objects_field(body: dict[str, Any], name: str, max_length: int) -> list[dict[str, Any]]:
    """Return a field that is a list of at most `max_length` objects. Raises Problem (413, 422)."""
    value = body.get(name)
    if type(value) is not list or any(type(each) is not dict for each in value):
        raise invalid("invalid_body", f"{name} is not a list of objects", f'send {{"{name}": [...]}}')
    if len(value) > max_length:
        raise too_many(name, len(value), max_length)
    return value


def too_many(name: str, count: int, max_length: int) -> Problem:
    """Return the refusal of a list that is too long."""
    return Problem(413, "too_many_events", f"{name} holds {count} entries", f"send at most {max_length} in one request")


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
