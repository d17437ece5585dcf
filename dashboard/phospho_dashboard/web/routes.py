"""Routes of pages, of their JSON twins and of forms; and the pages of errors."""

from __future__ import annotations

import http
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from phospho_dashboard.web.rendering import page_response, path_of
from phospho_dashboard.web.urls import sign_in_path
from phospho_store.errors import StoreError
from phospho_web.problems import Problem, problem_of
from phospho_web.requests import check_parameters
from phospho_web.responses import Endpoint, json_response, problem_response, with_json_errors

Visitor = TypeVar("Visitor")
Content = dict[str, Any]


def with_error_pages(endpoint: Endpoint) -> Endpoint:
    """Return `endpoint` with its errors as pages. A visitor who must sign in is led there, and back."""

    async def respond(request: Request) -> Response:
        try:
            return await endpoint(request)
        except (Problem, StoreError) as error:
            problem = problem_of(error)
        if problem.status == 401 and request.method == "GET":
            return RedirectResponse(sign_in_path(path_of(request)), 303)
        return page_response("web/problem.html", {"problem": problem}, problem.status, problem.headers())

    return respond


def page_and_twin(
    path: str,
    read: Callable[[Request], Awaitable[tuple[Visitor, Content]]],
    render: Callable[[Request, Visitor, Content], Awaitable[Response]],
    parameters: Sequence[str] = (),
) -> list[BaseRoute]:
    """
    Return the routes of a page and of its twin: `render` shows the content that `read` returns, the twin is that.

    `parameters` are those of the twin's query beside the project.
    """

    async def page(request: Request) -> Response:
        return await render(request, *await read(request))

    async def twin(request: Request) -> Response:
        _, content = await read(request)
        return json_response(content)

    return [twin_route(path, twin, parameters), page_route(path, page)]


def page_route(path: str, endpoint: Endpoint) -> Route:
    """Return the route of a page, whose errors are pages."""
    return Route(path, with_error_pages(endpoint))


def twin_route(path: str, endpoint: Endpoint, parameters: Sequence[str] = ()) -> Route:
    """Return the route of the JSON twin of the page at `path`; an unknown parameter of its query is a 400."""

    async def checked(request: Request) -> Response:
        check_parameters(request.query_params, parameters, unnamed=("project",))
        return await endpoint(request)

    return Route(f"{path}.json", with_json_errors(checked))


def form_route(path: str, endpoint: Endpoint) -> Route:
    """Return the route that a form is sent to, whose errors are pages."""
    return Route(path, with_error_pages(endpoint), methods=["POST"])


ExceptionHandler = Callable[[Request, Exception], Awaitable[Response]]

_NO_PAGE = {
    404: Problem(404, "not_found", "page not found", "check the address"),
    405: Problem(405, "method_not_allowed", "this address only accepts forms", "go back to the form's page"),
}
_UNEXPECTED = Problem(500, "internal_error", "something went wrong", "the server's log has the details")


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
