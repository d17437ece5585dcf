"""Keyset pages: a cursor is the sort key of the last row on a page, so new rows move nothing."""

from __future__ import annotations

import base64
import binascii

import orjson

from phospho_web.problems import Problem

DEFAULT_PAGE = 50
MAX_PAGE = 500


def encoded_cursor(time_ms: int, row_id: str) -> str:
    """Return the cursor of a row that is sorted by a time (Unix milliseconds), then an id. Safe in a URL."""
    return base64.urlsafe_b64encode(orjson.dumps([time_ms, row_id])).rstrip(b"=").decode()


def decoded_cursor(cursor: str | None) -> tuple[int, str] | None:
    """Return the sort key in a cursor, None without one. Raises Problem (400) for any other text."""
    if not cursor:
        return None
    try:
        time_ms, row_id = orjson.loads(base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError, TypeError):
        raise _malformed() from None
    if type(time_ms) is not int or not isinstance(row_id, str) or not -(2**62) <= time_ms <= 2**62:
        raise _malformed()
    return time_ms, row_id


def page_limit(text: str | None) -> int:
    """Return the number of rows of a page, from 1 to MAX_PAGE. Raises Problem (400) for any other text."""
    if not text:
        return DEFAULT_PAGE
    if not text.isascii() or not text.isdigit() or len(text) > 6 or not 1 <= int(text) <= MAX_PAGE:
        raise Problem(400, "invalid_limit", f"'limit' must be a number from 1 to {MAX_PAGE}")
    return int(text)


def _malformed() -> Problem:
    return Problem(400, "invalid_cursor", "this cursor can't be read", "start from the first page")
