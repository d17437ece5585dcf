"""The API of backfills, /api/v1/backfills."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from phospho_dashboard.definitions.backfills import Backfills, TimeRange
from phospho_dashboard.definitions.detection import Detection
from phospho_dashboard.endpoints import ApiEndpoints
from phospho_dashboard.services import Services
from phospho_schemas.messages import Backfill
from phospho_schemas.people import Role
from phospho_schemas.times import parsed_time
from phospho_web.bodies import text_field
from phospho_web.endpoints import api_endpoint
from phospho_web.openapi import NUMBER, TEXT, TIME, list_of, nullable, object_schema
from phospho_web.problems import Problem
from phospho_web.responses import json_response

_BACKFILL = object_schema(["backfill"], backfill=Backfill)
_ESTIMATE = object_schema(
    ["tasks", "seconds", "events", "llm_tokens", "sampled_tasks"],
    tasks=NUMBER,
    seconds={"type": "number"},
    events=NUMBER,
    llm_tokens=NUMBER,
    sampled_tasks=NUMBER,
)


class BackfillsApi(ApiEndpoints):
    """The endpoints of backfills."""

    def __init__(self, services: Services, detection: Detection) -> None:
        super().__init__(services)
        self._backfills = Backfills(services, detection)

    @api_endpoint("get", "/backfills", "Backfills, the latest first", list_of("backfills", Backfill))
    async def backfills(self, request: Request) -> Response:
        project_id = await self._access.api_project(request)
        backfills = await self._threads.run(self._backfills.of_project, project_id)
        return json_response({"backfills": [backfill.model_dump(mode="json") for backfill in backfills]})

    @api_endpoint(
        "post",
        "/backfills",
        "Start a backfill",
        _BACKFILL,
        description="Run the current version of a definition over older tasks. A running backfill is not "
        "started twice. With `dry_run` nothing is started, and the answer is an estimate, with "
        "status 200.",
        status=201,
        body=object_schema(
            ["definition"],
            definition=TEXT,
            **{"from": nullable(TIME), "to": nullable(TIME)},
            dry_run={"type": "boolean"},
        ),
        also={200: object_schema(["estimate"], estimate=_ESTIMATE)},
    )
    async def start(self, request: Request) -> Response:
        visitor, project_id = await self._access.api_visitor_and_project(request, "editor")
        content = await self._body(request)
        name, time_range = text_field(content, "definition"), _time_range(content)
        if content.get("dry_run"):
            estimate = await self._slow_threads.run(self._backfills.estimate, project_id, name, time_range)
            return json_response({"estimate": estimate})
        backfill = await self._threads.run(self._backfills.start, project_id, name, time_range, visitor.author)
        return json_response({"backfill": backfill.model_dump(mode="json")}, 201)

    @api_endpoint("get", "/backfills/{backfill_id}", "Progress of a backfill", _BACKFILL)
    async def backfill(self, request: Request) -> Response:
        return await self._one(request, "viewer", self._backfills.backfill)

    @api_endpoint(
        "delete",
        "/backfills/{backfill_id}",
        "Cancel a backfill",
        _BACKFILL,
        description="The events that it found stay.",
    )
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
