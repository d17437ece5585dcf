"""Problems: the errors in responses, in one JSON shape, with their HTTP status."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from phospho_schemas.messages import KeyScope
from phospho_store.errors import ChangeRefused, Conflict, StoreError, StoreUnavailable

logger = logging.getLogger(__name__)
_RETRY_AFTER_S = 2


# Not frozen: starlette and contextlib set the traceback of exceptions that they handle.
@dataclass(eq=False)
class Problem(Exception):
    """
    An error response: an HTTP status, a stable code, what happened and what to do.

    `retry_after_s` becomes the Retry-After header.
    """

    status: int
    code: str
    message: str
    hint: str = ""
    retry_after_s: int | None = None

    def body(self) -> dict[str, Any]:
        """Return `{"error": {"code", "message", "hint"}}`."""
        return {"error": {"code": self.code, "message": self.message, "hint": self.hint}}

    def headers(self) -> dict[str, str]:
        """Return the headers of the response."""
        headers = {"Retry-After": str(self.retry_after_s)} if self.retry_after_s is not None else {}
        return headers | ({"WWW-Authenticate": "Bearer"} if self.status == 401 else {})


def problem_of(error: Problem | StoreError) -> Problem:
    """Return the problem for an error of the store. It tells no detail of a refused statement, which is our fault."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, ChangeRefused):
        return Problem(409 if isinstance(error, Conflict) else 422, error.code, error.message, error.hint)
    if isinstance(error, StoreUnavailable):
        logger.warning("the store is away: %s", error)
        return store_unavailable("ClickHouse does not answer", _RETRY_AFTER_S)
    logger.error("the store refused a statement: %s", error)
    return Problem(500, "internal_error", "the store refused a statement", "the server's log says more")


def invalid(code: str, message: str, hint: str = "") -> Problem:
    """Return the refusal (422) of content that can be read and is not valid."""
    return Problem(422, code, message, hint)


def body_too_large(max_bytes: int) -> Problem:
    """Return the refusal (413) of a body above the limit."""
    return Problem(413, "body_too_large", f"the body is larger than {max_bytes} bytes", "send less in one request")


def unauthorized() -> Problem:
    """Return the refusal of a missing, an unknown and a revoked key: the same for all three."""
    hint = "send it in the header Authorization: Bearer ph_..."
    return Problem(401, "unauthorized", "a valid API key is needed", hint)


def missing_scope(scope: KeyScope) -> Problem:
    """Return the refusal (403) of a key that may not do this."""
    hint = f"use a key with the scope {scope}, or admin: phospho keys create --scope {scope}"
    return Problem(403, "missing_scope", f"this API key lacks the scope {scope}", hint)


def wrong_project() -> Problem:
    """Return the refusal of a key that belongs to another project than the request names."""
    return Problem(
        403, "wrong_project", "this API key belongs to another project", "use the key of the project that you name"
    )


def store_unavailable(message: str, retry_after_s: int) -> Problem:
    """Return the refusal (503) while ClickHouse is away: nothing is wrong with the request."""
    hint = "send the same request again after the time in Retry-After"
    return Problem(503, "store_unavailable", message, hint, retry_after_s=retry_after_s)


def malformed_json(message: str) -> Problem:
    """Return the refusal of bytes that are not JSON."""
    hint = "send one JSON document in UTF-8; NaN and Infinity are not JSON, use null"
    return Problem(400, "malformed_json", message, hint)


def validation_message(error: ValidationError) -> str:
    """Return the first thing that is wrong, and its field, without the value that was sent."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    message = first["msg"].removeprefix("Value error, ")
    return f"{'.'.join(map(str, first['loc']))}: {message}"


def unknown_event(name: str) -> Problem:
    """Return the refusal of an event that nobody has defined."""
    return Problem(422, "unknown_event", f"there is no event {name!r} in this project", "define it first")


def no_publisher() -> Problem:
    """Return the refusal of a process that has no way to publish."""
    return Problem(503, "no_publisher", "this process can't publish", "ask the gateway, or phospho up")
