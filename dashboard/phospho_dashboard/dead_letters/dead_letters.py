"""What no stage could read, as ClickHouse has it: a page of them, and one. Blocking."""

from __future__ import annotations

import base64
from typing import Any

from phospho_dashboard.queries.periods import BEYOND_MS, FIRST_MS, Span
from phospho_dashboard.web.times import with_times
from phospho_store.cursors import encoded_cursor
from phospho_store.store import Store
from phospho_web.problems import Problem

_END_OF_TIME = (2**62, "")
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
_COUNT = """
SELECT count() AS dead_letters FROM dead_letter_rows FINAL
WHERE project_id IN {projects:Array(String)}
    AND received_at >= fromUnixTimestamp64Milli({start_ms:Int64})
    AND received_at < fromUnixTimestamp64Milli({end_ms:Int64})
"""


class DeadLetters:
    """Reads dead letters of `projects`; the project "" is that of messages which did not say theirs."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def page(self, projects: list[str], before: tuple[int, str] | None, limit: int) -> dict[str, Any]:
        """Return up to `limit` dead letters, the latest first, and the cursor of the next page."""
        before_ms, before_id = before or _END_OF_TIME
        parameters = {"projects": projects, "before_ms": before_ms, "before_id": before_id, "limit": limit + 1}
        rows = self._store.rows(_LIST, parameters)
        last = rows[limit - 1] if len(rows) > limit else None
        cursor = encoded_cursor(last["received_at_ms"], last["dead_letter_id"]) if last else None
        return {"dead_letters": [with_times(row) for row in rows[:limit]], "next_cursor": cursor}

    def count(self, projects: list[str], span: Span) -> int:
        """Return how many arrived within a span."""
        start_ms = FIRST_MS if span.start_ms is None else span.start_ms
        end_ms = BEYOND_MS - 1 if span.end_ms is None else span.end_ms
        parameters = {"projects": projects, "start_ms": start_ms, "end_ms": end_ms}
        found: int = self._store.rows(_COUNT, parameters)[0]["dead_letters"]
        return found

    def one(self, projects: list[str], dead_letter_id: str) -> dict[str, Any]:
        """Return all that is known of one, its payload as text and byte for byte; Problem 404 where there is none."""
        rows = self._store.rows(_ONE, {"projects": projects, "id": dead_letter_id})
        if not rows:
            message = f"there is no dead letter {dead_letter_id!r} in this project"
            raise Problem(404, "unknown_dead_letter", message, "list them: phospho dead-letters list")
        payload = base64.b64decode(rows[0]["payload_base64"]).decode("utf-8", "replace")
        return with_times(rows[0]) | {"payload": payload}
