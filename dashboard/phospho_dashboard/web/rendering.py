"""Pages: Jinja templates with escaping always on, and the headers that leave a browser nothing else to run."""

from __future__ import annotations

from typing import Any

import orjson
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from phospho_dashboard.web.numbers import as_a, money
from phospho_dashboard.web.urls import item_url, sign_in_path
from phospho_schemas.engines import engine_spec
from phospho_store.errors import StatementRefused, StoreUnavailable
from phospho_web.problems import Problem, problem_of
from phospho_web.responses import Endpoint

_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none';"
    " object-src 'none'",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Not no-referrer, with which a browser hides where a form comes from, from us too.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


def page_response(
    template: str, content: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """Return a page. Every value is escaped; a name that `content` lacks is an error, not an empty string."""
    text = _TEMPLATES.get_template(template).render(content)
    # What a client logged may hold half of a surrogate pair, which UTF-8 has no place for.
    return HTMLResponse(text.encode("utf-8", "replace"), status, _HEADERS | (headers or {}))


def paged(endpoint: Endpoint) -> Endpoint:
    """Return `endpoint` with its errors turned into pages; who has to sign in is led there, and back."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except (Problem, StoreUnavailable, StatementRefused) as error:
            problem = problem_of(error)
        if problem.status == 401 and request.method == "GET":
            return RedirectResponse(sign_in_path(path_of(request)), 303)
        return page_response("web/problem.html", {"problem": problem}, problem.status, problem.headers())

    return answer


def path_of(request: Request) -> str:
    """Return the path and the query of a request, as the browser has them."""
    path, query = request.scope.get("raw_path") or request.url.path.encode(), request.scope["query_string"]
    return (path.split(b"?")[0] + (b"?" + query if query else b"")).decode("ascii", "replace")


def _person(time: str) -> str:
    """Return an ISO 8601 time as people read it, still in UTC: a small script shows it in their zone."""
    return time[:19].replace("T", " ")


def _pretty(value: Any) -> str:
    """Return JSON for a person: of a value, or of a text that holds JSON; a text that does not is left as it is."""
    try:
        content = orjson.loads(value) if isinstance(value, str) else value
    except orjson.JSONDecodeError:
        return str(value)
    return orjson.dumps(content, option=orjson.OPT_INDENT_2).decode()


def _on_one_line(value: Any) -> str:
    """Return a value on one line: a text as it is, anything else as JSON; what is not set is told as that."""
    if value in (None, "", []):
        return "unset"
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _sentence(text: str) -> str:
    """Return what a program says as it begins a line for a person; the name of a field stays as it is written."""
    return text if "_" in text.partition(" ")[0] else text[:1].upper() + text[1:]


def _environment() -> Environment:
    loader = PackageLoader("phospho_dashboard")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters |= {
        "person": _person,
        "pretty": _pretty,
        "on_one_line": _on_one_line,
        "sentence": _sentence,
        "as_a": as_a,
        "money": money,
    }
    environment.globals |= {"item_url": item_url, "engine_spec": engine_spec}
    return environment


_TEMPLATES = _environment()
