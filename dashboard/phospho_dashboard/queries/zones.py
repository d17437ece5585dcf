"""Time zones: the one of a project, which its buckets, filters, lists and exports use."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from starlette.requests import Request

from phospho_schemas.messages import Project
from phospho_schemas.times import zone_named

# Set by `static/times.js` to the zone of the browser.
ZONE_COOKIE = "time_zone"
UTC_ZONE = ZoneInfo("UTC")


def zone_of(project: Project | None, request: Request) -> ZoneInfo:
    """Return the time zone in a project's settings, else the one of the browser, else UTC."""
    of_project = project.settings.time_zone if project is not None else ""
    return zone_named(of_project) or zone_named(request.cookies.get(ZONE_COOKIE, "")) or UTC_ZONE
