"""Dead letters in ClickHouse: a page of them, and one."""

from __future__ import annotations

import base64
from typing import Any

from phospho_dashboard.web.formats import with_times
from phospho_store.store import Store
from phospho_web.cursors import encoded_cursor
from phospho_web.problems import Problem

_END_OF_TIME = (2**62, "")
# The base table: the page needs neither the payloads of all rows nor the rows of other projects.
_LIST = """
SELECT
    dead_letter_id, project_id, stage, reason, detail, source_topic, source_partition, source_offset,
    toValidUTF8(left(base64Decode(payload_base64), 2000)) AS payload_start, payload_bytes, is_truncated,
    toUnixTimestamp64Milli(received_at) AS received_at_ms
FROM dead_letter_rows FINAL
WHERE project_id IN {projects:Array(String)}
    AND (received_at_ms, dead_letter_id) < ({before_ms:Int64}, {before_id:String})
ORDER BY received_at_ms DESC, dead_letter_id DESC
LIMIT {limit:UInt32}
"""
_ONE = """
SELECT
    dead_letter_id, project_id, stage, reason, detail, source_topic, source_partition, source_offset,
    payload_base64, payload_bytes, is_truncated, key_base64, headers, revision,
    toUnixTimestamp64Milli(received_at) AS received_at_ms
FROM dead_letter_rows FINAL
WHERE project_id IN {projects:Array(String)} AND dead_letter_id = {id:String}
"""


class DeadLetters:
    """Read the dead letters of `projects`. The project "" is that of messages that named none. Blocking."""

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

    def dead_letter(self, projects: list[str], dead_letter_id: str) -> dict[str, Any]:
        """Return one dead letter, its payload as text and in base64; Problem 404 where there is none."""
        rows = self._store.rows(_ONE, {"projects": projects, "id": dead_letter_id})
        if not rows:
            message = f"there is no dead letter {dead_letter_id!r} in this project"
            raise Problem(404, "unknown_dead_letter", message, "list them: phospho dead-letters list")
        payload = base64.b64decode(rows[0]["payload_base64"]).decode("utf-8", "replace")
        return with_times(rows[0]) | {"payload": payload}
