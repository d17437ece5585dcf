"""The audit log: an entry for each change that the pages or the API have carried out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from phospho_schemas.ids import HybridClock, derived_uuid, revision_ms
from phospho_schemas.times import utc_now, utc_text
from phospho_store.errors import StoreError
from phospho_store.store import Store

logger = logging.getLogger(__name__)

_READING_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# What is asked by POST and changes nothing, and labels, which name their author themselves and are many.
_UNRECORDED_ENDINGS = (
    "/sql",
    "/sql.csv",
    "/sql.parquet",
    "/preview",
    "/estimate",
    "/diff",
    "/verify",
    "/test",
    "/labels",
)
_MAX_CHARACTERS = 300
_ENTRIES = """
SELECT audit_id, project_id, author, action, address, status, toUnixTimestamp64Milli(created_at) AS created_at_ms
FROM audit_rows FINAL
WHERE project_id IN {projects:Array(String)} AND audit_id < {before:String}
ORDER BY audit_id DESC LIMIT {limit:UInt32}
"""
LAST_ID = "\U0010ffff"


class AuditLog:
    """Reads and writes of entries. Blocking; raises what the store raises."""

    def __init__(self, store: Store, clock: HybridClock) -> None:
        self._store = store
        self._clock = clock

    def add(self, entry: dict[str, Any]) -> None:
        """Store an entry."""
        revision = self._clock.next()
        audit_id = derived_uuid(revision_ms(revision), str(revision), entry["author"], entry["action"])
        row = entry | {"audit_id": audit_id, "revision": revision, "created_at": utc_text(utc_now())}
        self._store.insert("audit_rows", orjson.dumps(row))

    def page(self, projects: Sequence[str], before: str, limit: int) -> list[dict[str, Any]]:
        """Return the entries of projects before one, the latest first; "" is the installation."""
        parameters = {"projects": list(projects), "before": before or LAST_ID, "limit": limit}
        return list(self._store.rows(_ENTRIES, parameters))


class Audit:
    """
    Middleware that records each change that was carried out: method and path, never a body, which may hold secrets.

    `Access` leaves in the state of a request who sent it, of which project it is, and what an endpoint adds.
    """

    def __init__(self, app: ASGIApp, log: AuditLog) -> None:
        self._app = app
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        statuses: list[int] = []

        async def send_and_note(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])
            await send(message)

        await self._app(scope, receive, send_and_note)
        sender = scope.get("state", {}).get("audit")
        is_change = sender is not None and (_is_change(scope) or "change" in sender)
        if is_change and statuses and statuses[0] < 400:
            await self._record(scope, sender, statuses[0])

    async def _record(self, scope: Scope, sender: dict[str, str], status: int) -> None:
        client = scope.get("client")
        change = sender.pop("change", "")
        action = f"{scope['method']} {scope['path']}" + (f": {change}" if change else "")
        entry = sender | {
            "action": action[:_MAX_CHARACTERS],
            "address": client[0] if client else "",
            "status": status,
        }
        try:
            await asyncio.to_thread(self._log.add, entry)
        except StoreError as error:
            logger.warning("a change is missing in the audit log: %s: %s", entry["action"], error)


def _is_change(scope: Scope) -> bool:
    return scope["method"] not in _READING_METHODS and not scope["path"].endswith(_UNRECORDED_ENDINGS)
