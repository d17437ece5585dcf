"""The API of labels and notes. A flag is feedback, which the gateway takes."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from phospho_dashboard.annotations.annotations import MAX_LABELS, MAX_NOTE_CHARACTERS, Annotations
from phospho_dashboard.auth.visitors import Visitor
from phospho_dashboard.services import Services
from phospho_dashboard.web.routes import api_route
from phospho_dashboard.web.times import with_times
from phospho_web.bodies import read_object, text_field
from phospho_web.cursors import decoded_cursor, encoded_cursor, page_limit
from phospho_web.problems import Problem
from phospho_web.responses import json_response

_END_OF_TIME = (2**62, "")


def annotation_api_routes(services: Services) -> list[BaseRoute]:
    """Return the routes of labels and notes."""
    annotations = AnnotationsApi(services)
    return [
        api_route("GET", "/labels", annotations.labels),
        api_route("POST", "/labels", annotations.save_labels),
        api_route("POST", "/tasks/{task_id:any_text}/notes", annotations.write_note),
        api_route("DELETE", "/tasks/{task_id:any_text}/notes/{note_id}", annotations.delete_note),
    ]


class AnnotationsApi:
    """The endpoints of labels and notes."""

    def __init__(self, services: Services) -> None:
        self._threads = services.threads
        self._access = services.access
        self._annotations = Annotations(services)
        self._max_body_bytes = services.settings.max_body_bytes

    async def labels(self, request: Request) -> Response:
        project_id = await self._access.api_project(request)
        event, limit = request.query_params.get("event", ""), page_limit(request.query_params.get("limit"))
        before = decoded_cursor(request.query_params.get("cursor")) or _END_OF_TIME
        rows = await self._threads.run(self._annotations.labels, project_id, event, before, limit + 1)
        last = rows[limit - 1] if len(rows) > limit else None
        cursor = encoded_cursor(last["created_at_ms"], f"{last['task_id']}\0{last['event_name']}") if last else None
        return json_response({"labels": [with_times(row) for row in rows[:limit]], "next_cursor": cursor})

    async def save_labels(self, request: Request) -> Response:
        visitor, project_id = await self._editor(request)
        content = await read_object(request, self._max_body_bytes)
        items = content.get("labels")
        if not isinstance(items, list) or not 0 < len(items) <= MAX_LABELS:
            raise Problem(422, "invalid_field", f"'labels' must be a list of 1 to {MAX_LABELS} labels")
        saved = await self._threads.run(self._annotations.save_labels, project_id, visitor, items)
        return json_response({"labels": [label.model_dump(mode="json", exclude={"revision"}) for label in saved]}, 201)

    async def write_note(self, request: Request) -> Response:
        visitor, project_id = await self._editor(request)
        text = text_field(await read_object(request, self._max_body_bytes), "text", max_length=MAX_NOTE_CHARACTERS)
        task_id = request.path_params["task_id"]
        note = await self._threads.run(self._annotations.save_note, project_id, visitor, task_id, text)
        content: dict[str, Any] = note.model_dump(mode="json", exclude={"revision", "is_deleted"})
        return json_response({"note": content}, 201)

    async def delete_note(self, request: Request) -> Response:
        visitor, project_id = await self._editor(request)
        task_id, note_id = request.path_params["task_id"], request.path_params["note_id"]
        await self._threads.run(self._annotations.delete_note, project_id, visitor, task_id, note_id)
        return Response(status_code=204)

    async def _editor(self, request: Request) -> tuple[Visitor, str]:
        return await self._access.api_visitor_and_project(request, "editor")
