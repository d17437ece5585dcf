"""The API of backfills, /api/v1/backfills."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from phospho_dashboard.definitions.backfills import Backfills, TimeRange
from phospho_dashboard.definitions.detection import Detection
from phospho_dashboard.services import Services
from phospho_dashboard.web.routes import api_route
from phospho_schemas.messages import Backfill
from phospho_schemas.people import Role
from phospho_schemas.times import parsed_time
from phospho_web.bodies import read_object, text_field
from phospho_web.problems import Problem
from phospho_web.responses import json_response


def backfill_api_routes(services: Services, detection: Detection) -> list[BaseRoute]:
    """Return the routes of backfills."""
    backfills = BackfillsApi(services, detection)
    return [
        api_route("GET", "/backfills", backfills.backfills),
        api_route("POST", "/backfills", backfills.start),
        api_route("GET", "/backfills/{backfill_id}", backfills.backfill),
        api_route("DELETE", "/backfills/{backfill_id}", backfills.cancel),
    ]


class BackfillsApi:
    """The endpoints of backfills."""

    def __init__(self, services: Services, detection: Detection) -> None:
        self._backfills = Backfills(services, detection)
        self._threads = services.threads
        # Detection on thousands of tasks takes seconds, which must not hold up the pages.
        self._slow_threads = services.slow_threads
        self._access = services.access
        self._max_body_bytes = services.settings.max_body_bytes

    async def backfills(self, request: Request) -> Response:
        project_id = await self._access.api_project(request)
        backfills = await self._threads.run(self._backfills.of_project, project_id)
        return json_response({"backfills": [backfill.model_dump(mode="json") for backfill in backfills]})

    async def start(self, request: Request) -> Response:
        visitor, project_id = await self._access.api_visitor_and_project(request, "editor")
        content = await read_object(request, self._max_body_bytes)
        name, time_range = text_field(content, "definition"), _time_range(content)
        if content.get("dry_run"):
            estimate = await self._slow_threads.run(self._backfills.estimate, project_id, name, time_range)
            return json_response({"estimate": estimate})
        backfill = await self._threads.run(self._backfills.start, project_id, name, time_range, visitor.author)
        return json_response({"backfill": backfill.model_dump(mode="json")}, 201)

    async def backfill(self, request: Request) -> Response:
        return await self._one(request, "viewer", self._backfills.backfill)

    async def cancel(self, request: Request) -> Response:
        return await self._one(request, "editor", self._backfills.cancel)

    async def _one(self, request: Request, role: Role, action: Callable[[str, str], Backfill]) -> Response:
        project_id = await self._access.api_project(request, role)
        backfill = await self._threads.run(action, project_id, request.path_params["backfill_id"])
        return json_response({"backfill": backfill.model_dump(mode="json")})


def _time_range(content: dict[str, Any]) -> TimeRange:
    """Return the times `from` and `to` of a body; Problem 422 for an empty range."""
    time_range = TimeRange(_time(content, "from"), _time(content, "to"))
    if time_range.from_at is not None and time_range.to_at is not None and time_range.from_at >= time_range.to_at:
        raise Problem(422, "invalid_field", "'from' must be before 'to'")
    return time_range


def _time(content: dict[str, Any], name: str) -> datetime | None:
    """Return a time of a body, in UTC where it names no zone; None where it is missing."""
    text = content.get(name)
    if text is None:
        return None
    moment = parsed_time(text) if isinstance(text, str) else None
    if moment is None:
        hint = "such as 2026-01-31 or 2026-01-31T10:00:00Z"
        raise Problem(422, "invalid_field", f"{name!r} must be a time in ISO 8601", hint)
    return moment
