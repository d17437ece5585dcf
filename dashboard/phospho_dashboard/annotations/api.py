"""The API of labels and notes. A flag is feedback, which the gateway takes."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from phospho_dashboard.annotations.annotations import MAX_LABELS, MAX_NOTE_CHARACTERS, Annotations
from phospho_dashboard.auth.visitors import Visitor
from phospho_dashboard.services import LIMIT, ROWS, ApiEndpoints, Services
from phospho_dashboard.web.formats import with_times
from phospho_schemas.rows.annotations import Label, Note
from phospho_web.cursors import decoded_cursor, encoded_cursor, page_limit
from phospho_web.endpoints import api_endpoint
from phospho_web.openapi import TEXT, list_of, nullable, object_schema, query_parameter
from phospho_web.problems import Problem
from phospho_web.requests import text_field
from phospho_web.responses import json_response

_END_OF_TIME = (2**62, "")

_LABEL = object_schema(
    ["event", "task_id", "label"],
    event=TEXT,
    task_id=TEXT,
    label={"enum": ["confirmed", "rejected", ""]},
    value=nullable({"type": "number"}),
    category=TEXT,
    comment=TEXT,
)


class AnnotationsApi(ApiEndpoints):
    """The endpoints of labels and notes."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._annotations = Annotations(services)

    @api_endpoint(
        "get",
        "/labels",
        "List labels",
        object_schema(["labels", "next_cursor"], labels=ROWS, next_cursor=nullable(TEXT)),
        parameters=(
            query_parameter("event", TEXT, "the labels of this event alone"),
            query_parameter("cursor", TEXT),
            LIMIT,
        ),
    )
    async def labels(self, request: Request) -> Response:
        project_id = await self._access.api_project(request)
        event, limit = request.query_params.get("event", ""), page_limit(request.query_params.get("limit"))
        before = decoded_cursor(request.query_params.get("cursor")) or _END_OF_TIME
        rows = await self._threads.run(self._annotations.labels, project_id, event, before, limit + 1)
        last = rows[limit - 1] if len(rows) > limit else None
        cursor = encoded_cursor(last["created_at_ms"], f"{last['task_id']}\0{last['event_name']}") if last else None
        return json_response({"labels": [with_times(row) for row in rows[:limit]], "next_cursor": cursor})

    @api_endpoint(
        "post",
        "/labels",
        "Confirm, reject or add events",
        list_of("labels", Label),
        description="All are stored, or none. An empty label takes a label back. A confirmed event that "
        "detection did not find is added to its task. Labels correct the events that readers see, "
        "and teach detection.",
        status=201,
        body=list_of("labels", _LABEL, least=1, most=MAX_LABELS),
    )
    async def save_labels(self, request: Request) -> Response:
        visitor, project_id = await self._editor(request)
        content = await self._body(request)
        items = content.get("labels")
        if not isinstance(items, list) or not 0 < len(items) <= MAX_LABELS:
            raise Problem(422, "invalid_field", f"'labels' must be a list of 1 to {MAX_LABELS} labels")
        saved = await self._threads.run(self._annotations.save_labels, project_id, visitor, items)
        return json_response({"labels": [label.model_dump(mode="json", exclude={"revision"}) for label in saved]}, 201)

    @api_endpoint(
        "post",
        "/tasks/{task_id:any_text}/notes",
        "Write a note on a task",
        object_schema(["note"], note=Note),
        status=201,
        body=object_schema(["text"], text=TEXT | {"maxLength": 10_000}),
    )
    async def write_note(self, request: Request) -> Response:
        visitor, project_id = await self._editor(request)
        text = text_field(await self._body(request), "text", max_length=MAX_NOTE_CHARACTERS)
        task_id = request.path_params["task_id"]
        note = await self._threads.run(self._annotations.save_note, project_id, visitor, task_id, text)
        content: dict[str, Any] = note.model_dump(mode="json", exclude={"revision", "is_deleted"})
        return json_response({"note": content}, 201)

    @api_endpoint("delete", "/tasks/{task_id:any_text}/notes/{note_id}", "Delete a note", None, status=204)
    async def delete_note(self, request: Request) -> Response:
        visitor, project_id = await self._editor(request)
        task_id, note_id = request.path_params["task_id"], request.path_params["note_id"]
        await self._threads.run(self._annotations.delete_note, project_id, visitor, task_id, note_id)
        return Response(status_code=204)

    async def _editor(self, request: Request) -> tuple[Visitor, str]:
        return await self._access.api_visitor_and_project(request, "editor")
