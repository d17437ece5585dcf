"""Problems: errors that a client is answered, in one JSON shape, with their HTTP status."""

from __future__ import annotations

import logging

# The class moves here once the store raises errors of its own.
from phospho_schemas.errors import Problem, malformed_json, store_unavailable, unauthorized, wrong_project
from phospho_store.errors import StoreError, StoreUnavailable

__all__ = [
    "Problem",
    "body_too_large",
    "invalid",
    "malformed_json",
    "problem_of",
    "store_unavailable",
    "unauthorized",
    "wrong_project",
]

logger = logging.getLogger(__name__)
_RETRY_AFTER_S = 2


def problem_of(error: Problem | StoreError) -> Problem:
    """Return the answer to an error of the store. A refused statement is our fault: the answer gives no detail."""
    if isinstance(error, Problem):
        return error
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
