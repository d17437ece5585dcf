"""What a request for a list says: how much of it, and from where."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from phospho_gateway.intake.fields import MAX_ID_CHARACTERS, check_identifier
from phospho_store.cursors import decoded_cursor
from phospho_web.problems import Problem, invalid

DEFAULT_LIMIT = 1_000
MAX_LIMIT = 10_000
# Longer than any that was given: a time and an id of the longest kind, each character of it in six of JSON.
_MAX_CURSOR_CHARACTERS = 8_192
# A revision in 20 digits, and an id.
_MAX_PLACE_CHARACTERS = 20 + MAX_ID_CHARACTERS


@dataclass(frozen=True)
class PageRequest:
    """At most `limit` rows, after the place of a cursor."""

    limit: int
    after: tuple[int, str] | None


def page_of_query(request: Request) -> PageRequest:
    """Return what the query string says. Raises Problem (400, 422)."""
    text = request.query_params.get("limit", "")
    if text and not (text.isascii() and text.isdigit()):
        raise _bad_limit()
    return PageRequest(_limit(int(text[:9]) if text else None), _place(request.query_params.get("cursor")))


def page_of_body(body: dict[str, Any]) -> PageRequest:
    """Return what `limit` and `cursor` of a body say. Raises Problem (400, 422)."""
    return PageRequest(_limit(body.get("limit")), _place(body.get("cursor")))


def refuse_unknown(body: dict[str, Any], known: Collection[str]) -> None:
    """Raise Problem (422) for a field that would change the answer if it were known; null is the same as absent."""
    unknown = [name for name, value in body.items() if name not in known and value is not None]
    if unknown:
        raise invalid(
            "unknown_field", f"{unknown[0][:100]!r} is not known here", f"send {', '.join(sorted(known))}, or less"
        )


def path_id(request: Request, name: str) -> str:
    """Return an id in the path. Raises Problem (404, 422) for what is no id."""
    found = check_identifier({name: request.path_params[name]}, name)
    if not found:
        raise Problem(404, "not_found", f"{name} is empty", "put it into the path")
    return found


def _limit(value: Any) -> int:
    if value is None:
        return DEFAULT_LIMIT
    if type(value) is not int or not 1 <= value <= MAX_LIMIT:
        raise _bad_limit()
    return value


def _place(cursor: Any) -> tuple[int, str] | None:
    if cursor is not None and (type(cursor) is not str or len(cursor) > _MAX_CURSOR_CHARACTERS):
        raise invalid("invalid_type", "cursor is not a cursor", "send the next_cursor of the page before")
    place = decoded_cursor(cursor)
    if place is not None and ("\0" in place[1] or len(place[1]) > _MAX_PLACE_CHARACTERS):
        raise Problem(400, "invalid_cursor", "this cursor can't be read", "start from the first page")
    return place


def _bad_limit() -> Problem:
    return invalid("invalid_limit", "limit is not a number of rows", f"use 1 to {MAX_LIMIT}, and cursor for the rest")
