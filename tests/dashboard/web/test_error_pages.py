"""Errors outside the endpoints: a page for browsers, JSON for everybody else."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from phospho_dashboard.web.routes import on_unexpected, with_error_page, with_error_pages
from phospho_store.errors import Conflict
from phospho_web.responses import Endpoint, with_json_errors

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


async def broken(_: Request) -> Response:
    raise ZeroDivisionError("a secret of ours")


async def in_json(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"said": "elsewhere"}, error.status_code)


@pytest.fixture
def client() -> TestClient:
    routes = [Route("/broken", broken), Route("/form", broken, methods=["POST"])]
    handlers = {HTTPException: with_error_page(in_json), Exception: on_unexpected}
    return TestClient(Starlette(routes=routes, exception_handlers=handlers), raise_server_exceptions=False)


@pytest.mark.parametrize("path", ["/nope", "/settings/nope"])
def test_a_browser_sees_a_page_at_a_wrong_address(client: TestClient, path: str) -> None:
    page = client.get(path, headers=BROWSER)

    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "<h1>Page not found</h1>" in page.text
    assert "default-src 'self'" in page.headers["content-security-policy"]


def test_a_browser_that_opens_what_a_form_is_sent_to_is_told_so(client: TestClient) -> None:
    page = client.get("/form", headers=BROWSER)

    assert (page.status_code, page.headers["allow"]) == (405, "POST")
    assert "This address only accepts forms" in page.text


@pytest.mark.parametrize(
    ("path", "accept"), [("/nope", "*/*"), ("/nope.json", BROWSER["Accept"]), ("/api/v1/nope", BROWSER["Accept"])]
)
def test_programs_twins_and_the_api_get_json(client: TestClient, path: str, accept: str) -> None:
    answer = client.get(path, headers={"Accept": accept})

    assert (answer.status_code, answer.json()) == (404, {"said": "elsewhere"})


def test_an_error_of_ours_is_a_page_or_json_and_tells_nothing(client: TestClient) -> None:
    page, answer = client.get("/broken", headers=BROWSER), client.get("/broken")

    assert (page.status_code, answer.status_code) == (500, 500)
    assert "<h1>Something went wrong</h1>" in page.text
    assert answer.json()["error"]["code"] == "internal_error"
    assert "secret" not in page.text + answer.text


@pytest.mark.parametrize("wrapped", [with_error_pages, with_json_errors])
def test_a_conflict_in_the_store_is_409_on_a_page_and_in_its_twin(wrapped: Callable[[Endpoint], Endpoint]) -> None:
    async def refused(_: Request) -> Response:
        raise Conflict("changed_meanwhile", "it has version 2 now", "open it again")

    answer = TestClient(Starlette(routes=[Route("/", wrapped(refused))])).get("/")

    assert (answer.status_code, "it has version 2 now" in answer.text.lower()) == (409, True)
