"""What no stage could read: /api/v1/dead-letters, and putting one back onto its topic."""

from __future__ import annotations

import base64
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from phospho_dashboard.access import PROJECT_HEADER, Access
from phospho_dashboard.answers import json_object, json_response, text_field
from phospho_dashboard.cursors import decoded_cursor, encoded_cursor, page_limit
from phospho_dashboard.services import Services
from phospho_dashboard.times import with_times
from phospho_schemas.errors import Problem
from phospho_schemas.records import Keyed
from phospho_schemas.topics import RAW_LOGS
from phospho_store.store import Store

# The base table, since the page needs neither the payloads of all rows nor more than one project's.
_LIST = """
SELECT
    dead_letter_id, project_id, stage, reason, detail, source_topic, source_partition, source_offset,
    toValidUTF8(left(base64Decode(payload_base64), 2000)) AS payload_start,
    length(base64Decode(payload_base64)) AS payload_bytes,
    toUnixTimestamp64Milli(received_at) AS received_at_ms
FROM dead_letter_rows FINAL
WHERE project_id IN {projects:Array(String)}
    AND (received_at_ms, dead_letter_id) < ({before_ms:Int64}, {before_id:String})
ORDER BY received_at_ms DESC, dead_letter_id DESC
LIMIT {limit:UInt32}
"""
_ONE = """
SELECT source_topic, payload_base64, key_base64
FROM dead_letter_rows FINAL
WHERE project_id IN {projects:Array(String)} AND dead_letter_id = {id:String}
"""
_END_OF_TIME_MS = 2**62


class DeadLettersApi:
    """The endpoints of dead letters."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._access = Access(services)

    async def dead_letters(self, request: Request) -> Response:
        projects = await self._projects(request)
        limit = page_limit(request.query_params.get("limit"))
        before = decoded_cursor(request.query_params.get("cursor")) or (_END_OF_TIME_MS, "")
        rows = await self._services.threads.run(_page, self._services.store, projects, before, limit + 1)
        last = rows[limit - 1] if len(rows) > limit else None
        cursor = encoded_cursor(last["received_at_ms"], last["dead_letter_id"]) if last else None
        return json_response({"dead_letters": [with_times(row) for row in rows[:limit]], "next_cursor": cursor})

    async def replay(self, request: Request) -> Response:
        """Publish the payload, or the mended text of the body, under the key that the dead letter had."""
        projects = await self._projects(request)
        content = await json_object(request, self._services.settings.max_payload_bytes)
        dead_letter_id = request.path_params["dead_letter_id"]
        letter = await self._services.threads.run(_one, self._services.store, projects, dead_letter_id)
        record = _record(letter, content)
        if self._services.publisher is None:
            raise Problem(503, "no_publisher", "this process can't publish", "ask the gateway, or phospho up")
        await self._services.publisher.publish([record])
        return json_response({"dead_letter_id": dead_letter_id, "status": "published", "topic": RAW_LOGS.name}, 202)

    async def _projects(self, request: Request) -> list[str]:
        """Return the project asked for; for an administrator also "", where a message did not say its project."""
        principal = await self._access.of_api(request)
        project_id = await self._access.project_id(principal, request.headers.get(PROJECT_HEADER))
        return [project_id, ""] if principal.is_admin else [project_id]


def _page(store: Store, projects: list[str], before: tuple[int, str], limit: int) -> list[dict[str, Any]]:
    parameters = {"projects": projects, "before_ms": before[0], "before_id": before[1], "limit": limit}
    return store.rows(_LIST, parameters)


def _one(store: Store, projects: list[str], dead_letter_id: str) -> dict[str, Any]:
    rows = store.rows(_ONE, {"projects": projects, "id": dead_letter_id})
    if not rows:
        raise Problem(404, "unknown_dead_letter", f"there is no dead letter {dead_letter_id!r} in this project")
    return rows[0]


def _record(letter: dict[str, Any], content: dict[str, Any]) -> Keyed:
    if letter["source_topic"] != RAW_LOGS.name:
        raise Problem(
            409,
            "not_replayable",
            f"this message stood in {letter['source_topic']}, which only a stage writes",
            f"reset the stage's offsets, or log the task again: its row is made anew from {RAW_LOGS.name}",
        )
    payload = base64.b64decode(letter["payload_base64"])
    if "payload" in content:
        payload = text_field(content, "payload", max_length=10_000_000).encode("utf-8", "replace")
    return Keyed(base64.b64decode(letter["key_base64"]), payload)
