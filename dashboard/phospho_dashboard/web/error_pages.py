"""Pages for errors outside the endpoints: an unknown address, and an unexpected error."""

from __future__ import annotations

import http
from collections.abc import Awaitable, Callable

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from phospho_dashboard.web.rendering import page_response
from phospho_web.problems import Problem
from phospho_web.responses import problem_response

ExceptionHandler = Callable[[Request, Exception], Awaitable[Response]]

_NO_PAGE = {
    404: Problem(404, "not_found", "there is no page at this address", "look at the address again"),
    405: Problem(
        405, "method_not_allowed", "this address is what a form is sent to", "go back to the page of the form"
    ),
}
_UNEXPECTED = Problem(500, "internal_error", "something went wrong here", "the server's log says more")


def with_error_page(answer: ExceptionHandler) -> ExceptionHandler:
    """Return a handler of HTTPException that shows browsers a page, and answers everybody else as `answer` does."""

    async def handle(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if not _wants_page(request):
            return await answer(request, error)
        status = error.status_code
        problem = _NO_PAGE.get(status) or Problem(status, "http_error", http.HTTPStatus(status).phrase)
        return _page(problem, dict(error.headers or {}))

    return handle


async def on_unexpected(request: Request, error: Exception) -> Response:
    """Answer an unexpected error without a detail. The server logs it, since Starlette raises it again."""
    return _page(_UNEXPECTED, {}) if _wants_page(request) else problem_response(_UNEXPECTED)


def _wants_page(request: Request) -> bool:
    path = request.url.path
    is_for_programs = path.startswith("/api/") or path.endswith(".json")
    return "text/html" in request.headers.get("accept", "") and not is_for_programs


def _page(problem: Problem, headers: dict[str, str]) -> Response:
    return page_response("web/problem.html", {"problem": problem}, problem.status, headers)
