"""Routes of the query API, of pages, of their JSON twins and of forms."""

from __future__ import annotations

from starlette.routing import Route

from phospho_dashboard.web.rendering import with_error_pages
from phospho_web.responses import Endpoint, with_json_errors


def api_route(method: str, path: str, endpoint: Endpoint) -> Route:
    """Return the route of an endpoint below `/api/v1`, whose errors are JSON."""
    return Route(f"/api/v1{path}", with_json_errors(endpoint), methods=[method])


def page_route(path: str, endpoint: Endpoint) -> Route:
    """Return the route of a page, whose errors are pages."""
    return Route(path, with_error_pages(endpoint))


def twin_route(path: str, endpoint: Endpoint) -> Route:
    """Return the route of the JSON twin of the page at `path`."""
    return Route(f"{path}.json", with_json_errors(endpoint))


def form_route(path: str, endpoint: Endpoint) -> Route:
    """Return the route that a form is sent to, whose errors are pages."""
    return Route(path, with_error_pages(endpoint), methods=["POST"])
