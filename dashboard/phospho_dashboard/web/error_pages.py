"""What a browser is shown where no page answers: an address that there is not, and an error of ours."""

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


def shown_to_browsers(answer: ExceptionHandler) -> ExceptionHandler:
    """Return a handler of HTTPException that shows a browser a page, and says to everybody else what `answer` says."""

    async def handle(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if not _wants_page(request):
            return await answer(request, error)
        status = error.status_code
        problem = _NO_PAGE.get(status) or Problem(status, "http_error", http.HTTPStatus(status).phrase)
        return _page(problem, dict(error.headers or {}))

    return handle


async def on_unexpected(request: Request, error: Exception) -> Response:
    """Answer what nobody foresaw, telling nothing of it; who serves the app logs it, since it is raised again."""
    return _page(_UNEXPECTED, {}) if _wants_page(request) else problem_response(_UNEXPECTED)


def _wants_page(request: Request) -> bool:
    path = request.url.path
    is_for_programs = path.startswith("/api/") or path.endswith(".json")
    return "text/html" in request.headers.get("accept", "") and not is_for_programs


def _page(problem: Problem, headers: dict[str, str]) -> Response:
    return page_response("web/problem.html", {"problem": problem}, problem.status, headers)
