"""What no stage could read: /api/v1/dead-letters, and logging one again."""

from __future__ import annotations

import base64
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from phospho_dashboard.access import PROJECT_HEADER, Access
from phospho_dashboard.answers import json_object, json_response, text_field
from phospho_store.cursors import decoded_cursor, encoded_cursor, page_limit
from phospho_dashboard.replay import Replayed, replayed
from phospho_dashboard.services import Services
from phospho_dashboard.times import with_times
from phospho_dashboard.visitors import Visitor
from phospho_schemas.errors import Problem
from phospho_schemas.people import Role
from phospho_schemas.topics import RAW_LOGS
from phospho_store.store import Store

_PLACE = "dead_letter_id, project_id, stage, reason, detail, source_topic, source_partition, source_offset"
# The base table, since the page needs neither the payloads of all rows nor more than one project's.
_LIST = f"""
SELECT
    {_PLACE},
    toValidUTF8(left(base64Decode(payload_base64), 2000)) AS payload_start, payload_bytes, is_truncated,
    toUnixTimestamp64Milli(received_at) AS received_at_ms
FROM dead_letter_rows FINAL
WHERE project_id IN {{projects:Array(String)}}
    AND (received_at_ms, dead_letter_id) < ({{before_ms:Int64}}, {{before_id:String}})
ORDER BY received_at_ms DESC, dead_letter_id DESC
LIMIT {{limit:UInt32}}
"""
_ONE = f"""
SELECT
    {_PLACE}, payload_base64, payload_bytes, is_truncated, key_base64, headers, revision,
    toUnixTimestamp64Milli(received_at) AS received_at_ms
FROM dead_letter_rows FINAL
WHERE project_id IN {{projects:Array(String)}} AND dead_letter_id = {{id:String}}
"""
_END_OF_TIME_MS = 2**62
_STAYS = "a dead letter says what came, not what became of it: it stays listed"


class DeadLettersApi:
    """The endpoints of dead letters."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._access = Access(services)

    async def dead_letters(self, request: Request) -> Response:
        _, projects = await self._reader(request)
        limit = page_limit(request.query_params.get("limit"))
        before = decoded_cursor(request.query_params.get("cursor")) or (_END_OF_TIME_MS, "")
        rows = await self._services.threads.run(_page, self._services.store, projects, before, limit + 1)
        last = rows[limit - 1] if len(rows) > limit else None
        cursor = encoded_cursor(last["received_at_ms"], last["dead_letter_id"]) if last else None
        return json_response({"dead_letters": [with_times(row) for row in rows[:limit]], "next_cursor": cursor})

    async def dead_letter(self, request: Request) -> Response:
        """Answer with all that is known of one, its payload as text and byte for byte."""
        _, projects = await self._reader(request)
        letter = await self._letter(request, projects)
        payload = base64.b64decode(letter["payload_base64"]).decode("utf-8", "replace")
        return json_response({"dead_letter": letter | {"payload": payload}})

    async def replay(self, request: Request) -> Response:
        """Log the message again, as it came or as the body has mended it. Twice is one task."""
        visitor, projects = await self._reader(request, "editor")
        content = await json_object(request, self._services.settings.max_payload_bytes)
        letter = await self._letter(request, projects)
        mended = text_field(content, "payload", max_length=10_000_000) if "payload" in content else None
        message = replayed(letter, mended, None if visitor.is_admin else projects[0])
        if self._services.publisher is None:
            raise Problem(503, "no_publisher", "this process can't publish", "ask the gateway, or phospho up")
        await self._services.publisher.publish([message.keyed])
        return json_response(_answer(letter["dead_letter_id"], message), 202)

    async def _letter(self, request: Request, projects: list[str]) -> dict[str, Any]:
        dead_letter_id = request.path_params["dead_letter_id"]
        return await self._services.threads.run(_one, self._services.store, projects, dead_letter_id)

    async def _reader(self, request: Request, needs: Role = "viewer") -> tuple[Visitor, list[str]]:
        """Return who asks, and the project asked for; with "", which is that of messages which did not say theirs."""
        visitor = await self._access.of_api(request, needs)
        project_id = await self._access.project_id(visitor, request.headers.get(PROJECT_HEADER))
        return visitor, [project_id, ""] if visitor.is_admin else [project_id]


def _page(store: Store, projects: list[str], before: tuple[int, str], limit: int) -> list[dict[str, Any]]:
    parameters = {"projects": projects, "before_ms": before[0], "before_id": before[1], "limit": limit}
    return store.rows(_LIST, parameters)


def _one(store: Store, projects: list[str], dead_letter_id: str) -> dict[str, Any]:
    rows = store.rows(_ONE, {"projects": projects, "id": dead_letter_id})
    if not rows:
        raise Problem(
            404,
            "unknown_dead_letter",
            f"there is no dead letter {dead_letter_id!r} in this project",
            "list them: phospho dead-letters list",
        )
    return with_times(rows[0])


def _answer(dead_letter_id: str, message: Replayed) -> dict[str, Any]:
    return {
        "dead_letter_id": dead_letter_id,
        "status": "published",
        "topic": RAW_LOGS.name,
        "project_id": message.project_id,
        "task_id": message.task_id,
        "note": _STAYS,
    }
