"""The one JSON shape of an error, for the gateway, the API and the pages, and the errors that they share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


# Not frozen: whoever handles an exception (starlette, contextlib) sets its traceback.
@dataclass(eq=False)
class Problem(Exception):
    """
    An answer that says no: an HTTP status, a stable code, what happened and what to do.

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
        """Return the headers that belong to the answer."""
        headers = {"Retry-After": str(self.retry_after_s)} if self.retry_after_s is not None else {}
        return headers | ({"WWW-Authenticate": "Bearer"} if self.status == 401 else {})


def unauthorized(hint: str = "send it in the header Authorization: Bearer ph_...") -> Problem:
    """Return the one answer to a missing, an unknown and a revoked key: it tells nobody which it was."""
    return Problem(401, "unauthorized", "a valid API key is needed", hint)


def wrong_project() -> Problem:
    """Return the refusal of a key that belongs to another project than the request names."""
    return Problem(
        403, "wrong_project", "this API key belongs to another project", "use the key of the project that you name"
    )


def store_unavailable(message: str, retry_after_s: int) -> Problem:
    """Return the answer while ClickHouse is away: nothing is wrong with the request."""
    hint = "send the same request again after the time in Retry-After"
    return Problem(503, "store_unavailable", message, hint, retry_after_s)


def malformed_json(message: str) -> Problem:
    """Return the refusal of bytes that are not JSON."""
    hint = "send one JSON document in UTF-8; NaN and Infinity are not JSON, use null"
    return Problem(400, "malformed_json", message, hint)
