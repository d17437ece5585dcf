"""The API of dead letters, /api/v1/dead-letters, and their replay."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from phospho_dashboard.auth.visitors import Visitor
from phospho_dashboard.dead_letters.bulk import MAX_AT_ONCE, BulkActions
from phospho_dashboard.dead_letters.letters import REASONS, STATUSES, DeadLetters, Selection, selection_of
from phospho_dashboard.dead_letters.replay import ReplayMessage, publish_replay
from phospho_dashboard.services import LIMIT, ROWS, ApiEndpoints, Services
from phospho_schemas.rows.people import Role
from phospho_schemas.topics import RAW_LOGS
from phospho_web.cursors import decoded_cursor, page_limit
from phospho_web.endpoints import api_endpoint
from phospho_web.openapi import ANY_OBJECT, NUMBER, TEXT, nullable, object_schema, query_parameter
from phospho_web.requests import read_object, text_field
from phospho_web.responses import json_response

_NOTE = "the dead letter stays listed, as replayed"
_CHOICES = {
    "reason": TEXT | {"enum": list(REASONS)},
    "stage": TEXT,
    "since": TEXT | {"description": "time of the first dead letter"},
}
_SELECTION = tuple(query_parameter(name, schema) for name, schema in _CHOICES.items())
_STATUS = query_parameter("status", TEXT | {"enum": list(STATUSES)})
_BULK_BODY = object_schema([], **_CHOICES, cursor=TEXT)
_BULK_NOTE = f"Those that wait and are selected, the latest first, up to {MAX_AT_ONCE} a call. Send next_cursor of one \
call as cursor of the next, until it is null."


class DeadLettersApi(ApiEndpoints):
    """The endpoints of dead letters."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._dead_letters = DeadLetters(services.store, services.clock)
        self._bulk = BulkActions(services)

    @api_endpoint(
        "get",
        "/dead-letters",
        "List dead letters",
        object_schema(["dead_letters", "next_cursor"], dead_letters=ROWS, next_cursor=nullable(TEXT)),
        parameters=(*_SELECTION, _STATUS, query_parameter("cursor", TEXT), LIMIT),
    )
    async def dead_letters(self, request: Request) -> Response:
        _, projects = await self._reader(request)
        before = decoded_cursor(request.query_params.get("cursor"))
        limit = page_limit(request.query_params.get("limit"))
        selection = selection_of(request.query_params)
        return json_response(await self._threads.run(self._dead_letters.page, projects, before, limit, selection))

    @api_endpoint(
        "get", "/dead-letters/counts", "Count dead letters by stage and reason", object_schema(["counts"], counts=ROWS)
    )
    async def counts(self, request: Request) -> Response:
        _, projects = await self._reader(request)
        return json_response({"counts": await self._threads.run(self._dead_letters.counts, projects)})

    @api_endpoint(
        "post",
        "/dead-letters/replay",
        "Replay many dead letters",
        object_schema(
            ["replayed", "failed", "failures", "next_cursor"],
            replayed=NUMBER,
            failed=NUMBER,
            failures=ROWS,
            next_cursor=nullable(TEXT),
        ),
        description=f"{_BULK_NOTE} As they came; each stays the same task.",
        status=202,
        body=_BULK_BODY,
    )
    async def replay_many(self, request: Request) -> Response:
        return json_response(await self._bulk.replay(*await self._bulk_request(request)), 202)

    @api_endpoint(
        "post",
        "/dead-letters/drop",
        "Drop many dead letters",
        object_schema(["dropped", "next_cursor"], dropped=NUMBER, next_cursor=nullable(TEXT)),
        description=f"{_BULK_NOTE} Dropped ones wait no more. They can be listed and replayed until retention.",
        body=_BULK_BODY,
    )
    async def drop_many(self, request: Request) -> Response:
        return json_response(await self._bulk.drop(*await self._bulk_request(request)))

    @api_endpoint(
        "get",
        "/dead-letters/{dead_letter_id}",
        "One dead letter, with its bytes",
        object_schema(["dead_letter"], dead_letter=ANY_OBJECT),
    )
    async def dead_letter(self, request: Request) -> Response:
        _, projects = await self._reader(request)
        letter = await self._threads.run(
            self._dead_letters.dead_letter, projects, request.path_params["dead_letter_id"]
        )
        return json_response({"dead_letter": letter})

    @api_endpoint(
        "post",
        "/dead-letters/{dead_letter_id}/replay",
        "Replay a dead letter",
        object_schema(
            ["dead_letter_id", "status", "topic", "project_id", "task_id"],
            dead_letter_id=TEXT,
            status=TEXT,
            topic=TEXT,
            project_id=TEXT,
            task_id=TEXT,
        ),
        description="As it came, or mended. Twice is one task.",
        status=202,
        body=object_schema([], payload=TEXT),
    )
    async def replay(self, request: Request) -> Response:
        """Log the message again, as it came or as the body mends it. Twice is one task."""
        visitor, projects = await self._reader(request, "editor")
        content = await read_object(request, self._services.settings.max_payload_bytes)
        edit = text_field(content, "payload", max_length=10_000_000) if "payload" in content else None
        dead_letter_id = request.path_params["dead_letter_id"]
        message = await publish_replay(
            self._services, visitor, projects=projects, dead_letter_id=dead_letter_id, edit=edit
        )
        return json_response(_answer(dead_letter_id, message), 202)

    @api_endpoint(
        "post",
        "/dead-letters/{dead_letter_id}/drop",
        "Drop a dead letter",
        object_schema(["dead_letter_id", "status"], dead_letter_id=TEXT, status=TEXT),
        description="It waits no more. It can be listed and replayed until retention.",
    )
    async def drop(self, request: Request) -> Response:
        visitor, projects = await self._reader(request, "editor")
        dead_letter_id = request.path_params["dead_letter_id"]
        letter = await self._threads.run(self._dead_letters.dead_letter, projects, dead_letter_id)
        await self._threads.run(self._dead_letters.act, [letter], "dropped", visitor.author)
        return json_response({"dead_letter_id": dead_letter_id, "status": "dropped"})

    async def _bulk_request(self, request: Request) -> tuple[Visitor, str, Selection, str | None]:
        visitor, projects = await self._reader(request, "editor")
        content = await self._body(request)
        return visitor, projects[0], selection_of(content, "waiting"), text_field(content, "cursor", "") or None

    async def _reader(self, request: Request, role: Role = "viewer") -> tuple[Visitor, list[str]]:
        visitor, project_id = await self._access.api_visitor_and_project(request, role)
        return visitor, visitor.readable_projects(project_id)


def _answer(dead_letter_id: str, message: ReplayMessage) -> dict[str, Any]:
    return {
        "dead_letter_id": dead_letter_id,
        "status": "published",
        "topic": RAW_LOGS.name,
        "project_id": message.project_id,
        "task_id": message.task_id,
        "note": _NOTE,
    }
