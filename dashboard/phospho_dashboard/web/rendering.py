"""Pages: Jinja templates with escaping always on, headers that forbid any script but ours, and static files."""

from __future__ import annotations

from contextvars import ContextVar
from datetime import UTC, datetime, tzinfo
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import orjson
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from phospho_dashboard.web.formats import format_measure, format_number, money
from phospho_dashboard.web.languages import language_name
from phospho_dashboard.web.urls import item_url
from phospho_schemas.definitions.engines import ENGINE_SPECS, engine_spec
from phospho_schemas.ids import PROJECT_ID_PATTERN
from phospho_schemas.times import utc_now

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


# Macros have no context: the zone of the page that is rendered.
_ZONE: ContextVar[tzinfo] = ContextVar("zone", default=UTC)


def page_response(
    template: str, content: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """
    Return a page. Every value is escaped; a name that `content` lacks is an error, not an empty string.

    Its times are in the zone of its `frame`, in UTC without one.
    """
    frame = content.get("frame")
    _ZONE.set(frame.zone if frame is not None else UTC)
    text = _TEMPLATES.get_template(template).render(content)
    # What a client logged may hold half of a surrogate pair, which UTF-8 has no place for.
    return HTMLResponse(text.encode("utf-8", "replace"), status, _HEADERS | (headers or {}))


def path_of(request: Request) -> str:
    """Return the path and the query of a request, as the browser has them."""
    path, query = request.scope.get("raw_path") or request.url.path.encode(), request.scope["query_string"]
    return (path.split(b"?")[0] + (b"?" + query if query else b"")).decode("ascii", "replace")


def _readable_time(time: str) -> str:
    """Return an ISO 8601 time for people, in the zone of the page."""
    return _in_zone(time).strftime("%Y-%m-%d %H:%M:%S")


def _with_zone(time: str) -> str:
    """Return an ISO 8601 time for people, with the name of its zone."""
    at = _in_zone(time)
    return f"{at:%Y-%m-%d %H:%M:%S} {at.tzname()}"


def _day(time: str) -> str:
    """Return the day of an ISO 8601 time in the zone of the page."""
    return f"{_in_zone(time):%Y-%m-%d}"


def _ago(time: str) -> str:
    """Return how long ago an ISO 8601 time was, such as "3 min ago"."""
    seconds = (utc_now() - datetime.fromisoformat(time)).total_seconds()
    for unit_s, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= unit_s:
            return f"{seconds // unit_s:,.0f} {unit} ago"
    return "just now"


def _in_zone(time: str) -> datetime:
    return datetime.fromisoformat(time).astimezone(_ZONE.get())


def pretty_json(value: Any) -> str:
    """Return indented JSON, of a value or of a text that holds JSON; any other text stays as it is."""
    try:
        content = orjson.loads(value) if isinstance(value, str) else value
    except orjson.JSONDecodeError:
        return str(value)
    return orjson.dumps(content, option=orjson.OPT_INDENT_2).decode()


def _on_one_line(value: Any) -> str:
    """Return a value on one line: a text as it is, anything else as JSON, and "unset" for nothing."""
    if value in (None, "", []):
        return "unset"
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _sentence(text: str) -> str:
    """Return a message with a capital; the name of a field at its start stays as it is written."""
    return text if "_" in text.partition(" ")[0] else text[:1].upper() + text[1:]


def _engine_label(engine: str) -> str:
    """Return the label of an engine; a stored event may name one that this release lacks."""
    return ENGINE_SPECS[engine].label if engine in ENGINE_SPECS else engine


def _environment() -> Environment:
    loader = PackageLoader("phospho_dashboard")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters |= {
        "readable_time": _readable_time,
        "with_zone": _with_zone,
        "day": _day,
        "ago": _ago,
        "language": language_name,
        "engine_label": _engine_label,
        "pretty": pretty_json,
        "on_one_line": _on_one_line,
        "sentence": _sentence,
        "number": format_number,
        "money": money,
        "measure": format_measure,
    }
    environment.globals |= {
        "item_url": item_url,
        "engine_spec": engine_spec,
        "project_id_pattern": PROJECT_ID_PATTERN,
    }
    return environment


_TEMPLATES = _environment()


STATIC_DIR = Path(__file__).parents[1] / "static"
_CHART_FILE = Path("django/static/chartkick/Chart.bundle.js")


def static_routes() -> list[BaseRoute]:
    """Return the routes of the static files. Browsers cache our own, and check each time if they changed."""
    return [
        Route("/static/chart.js", chart_library),
        Mount("/static", _RevalidatedFiles(directory=STATIC_DIR), name="static"),
    ]


class _RevalidatedFiles(StaticFiles):
    """Files that change with the version of the server, which browsers revalidate."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


async def chart_library(request: Request) -> Response:
    """Return Chart.js with its date adapter, out of `chartkick`, which is installed for these files alone."""
    headers = {"Cache-Control": "public, max-age=86400", "X-Content-Type-Options": "nosniff"}
    return FileResponse(_chart_path(), headers=headers, media_type="text/javascript")


def _chart_path() -> Path:
    # Found without importing it: it imports nothing, but its folders want Django and Flask.
    spec = find_spec("chartkick")
    if spec is None or spec.origin is None:
        raise RuntimeError("the package chartkick, which carries Chart.js, is not installed")
    return Path(spec.origin).parent / _CHART_FILE
