"""The one JSON shape of an error, for the gateway, the API and the pages."""

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
