"""Styles, scripts and icons, and Chart.js out of the package `chartkick`."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

STATIC_DIR = Path(__file__).parents[1] / "static"
_CHART_FILE = Path("django/static/chartkick/Chart.bundle.js")


def static_routes() -> list[BaseRoute]:
    """Return the routes of the static files. Browsers cache our own, and check each time if they changed."""
    compressed = [Middleware(GZipMiddleware, minimum_size=2000)]
    return [
        Route("/static/chart.js", chart_library, middleware=compressed),
        Mount("/static", _RevalidatedFiles(directory=STATIC_DIR), name="static", middleware=compressed),
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
