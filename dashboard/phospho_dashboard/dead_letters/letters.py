"""Dead letters in ClickHouse: which there are, by reason, and what people did with them."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from phospho_dashboard.web.formats import with_times
from phospho_schemas.ids import HybridClock
from phospho_schemas.messages import DeadLetterReason
from phospho_schemas.rows.ledger import DeadLetterAction
from phospho_schemas.times import utc_now
from phospho_store.repository import Repository
from phospho_store.sql import compose
from phospho_store.store import Store
from phospho_web.cursors import encoded_cursor
from phospho_web.problems import Problem
from phospho_web.requests import text_field, time_value

Status = Literal["waiting", "replayed", "dropped"]
REASONS: tuple[str, ...] = get_args(DeadLetterReason)
STATUSES: tuple[str, ...] = get_args(Status)

_END_OF_TIME = (2**62, "")
# The base table: the page needs neither the payloads of all rows nor the rows of other projects.
_LETTERS = """
(
    SELECT letter.*, if(action.action = '', 'waiting', toString(action.action)) AS status,
        action.created_by AS status_by, toUnixTimestamp64Milli(letter.received_at) AS received_at_ms
    FROM (SELECT * FROM dead_letter_rows FINAL WHERE project_id IN {projects:Array(String)}) AS letter
    LEFT ANY JOIN (SELECT * FROM dead_letter_action_rows FINAL WHERE project_id IN {projects:Array(String)}) AS action
    ON letter.project_id = action.project_id AND letter.dead_letter_id = action.dead_letter_id
)
"""
_COLUMNS = """
    dead_letter_id, project_id, stage, reason, status, status_by, detail, source_topic, source_partition, source_offset,
    payload_bytes, is_truncated, received_at_ms
"""
_LIST = """
SELECT $columns, toValidUTF8(left(base64Decode(payload_base64), 2000)) AS payload_start
FROM $letters
WHERE (received_at_ms, dead_letter_id) < ({before_ms:Int64}, {before_id:String})
    AND ({reason:String} = '' OR reason = {reason:String}) AND ({stage:String} = '' OR stage = {stage:String})
    AND ({status:String} = '' OR status = {status:String}) AND received_at_ms >= {since_ms:Int64}
ORDER BY received_at_ms DESC, dead_letter_id DESC
LIMIT {limit:UInt32}
"""
_WHOLE = """
SELECT $columns, payload_base64, key_base64, headers, item_kind, item_id, revision
FROM $letters
WHERE dead_letter_id IN {ids:Array(String)}
ORDER BY received_at_ms DESC, dead_letter_id DESC
"""
_COUNTS = """
SELECT toString(stage) AS stage, toString(reason) AS reason, countIf(status = 'waiting') AS waiting,
    countIf(status = 'replayed') AS replayed, countIf(status = 'dropped') AS dropped, max(received_at_ms) AS last_at_ms
FROM $letters
GROUP BY stage, reason
ORDER BY waiting DESC, stage, reason
LIMIT 100
"""


@dataclass(frozen=True)
class Selection:
    """Dead letters to list or to act on; an empty field selects all."""

    reason: str = ""
    stage: str = ""
    status: str = ""
    since_ms: int = 0


def selection_of(fields: Mapping[str, Any], status: str = "") -> Selection:
    """Return the selection in a query or a body: reason, stage, status, since. Raises Problem (422)."""
    given = {name: fields.get(name) or "" for name in ("reason", "stage", "status", "since")}
    texts = {name: text_field(given, name) for name in given}
    _check(texts["reason"], "reason", REASONS)
    _check(texts["status"], "status", STATUSES)
    since_ms = int(time_value(texts["since"], "since").timestamp() * 1000) if texts["since"] else 0
    return Selection(texts["reason"], texts["stage"], texts["status"] or status, since_ms)


def _check(value: str, name: str, choices: Sequence[str]) -> None:
    if value and value not in choices:
        raise Problem(422, "invalid_field", f"there is no {name} {value!r}", f"use one of {', '.join(choices)}")


class DeadLetters(Repository):
    """
    Read the dead letters of `projects`, and write what people did with them. Blocking.

    The project "" is that of messages that named none.
    """

    def __init__(self, store: Store, clock: HybridClock | None = None) -> None:
        super().__init__(store, clock)

    def page(
        self, projects: list[str], before: tuple[int, str] | None, limit: int, selection: Selection = Selection()
    ) -> dict[str, Any]:
        """Return up to `limit` selected dead letters, the latest first, and the cursor of the next page."""
        before_ms, before_id = before or _END_OF_TIME
        parameters = {"projects": projects, "before_ms": before_ms, "before_id": before_id, "limit": limit + 1}
        rows = self._store.rows(compose(_LIST, columns=_COLUMNS, letters=_LETTERS), parameters | vars(selection))
        last = rows[limit - 1] if len(rows) > limit else None
        cursor = encoded_cursor(last["received_at_ms"], last["dead_letter_id"]) if last else None
        return {"dead_letters": [with_times(row) for row in rows[:limit]], "next_cursor": cursor}

    def counts(self, projects: list[str]) -> list[dict[str, Any]]:
        """Return the number of dead letters by stage, reason and status."""
        return [with_times(row) for row in self._store.rows(compose(_COUNTS, letters=_LETTERS), {"projects": projects})]

    def dead_letter(self, projects: list[str], dead_letter_id: str) -> dict[str, Any]:
        """Return one dead letter, its payload as text and in base64; Problem 404 where there is none."""
        rows = self.with_payloads(projects, [dead_letter_id])
        if not rows:
            message = f"there is no dead letter {dead_letter_id!r} in this project"
            raise Problem(404, "unknown_dead_letter", message, "list them: phospho dead-letters list")
        payload = base64.b64decode(rows[0]["payload_base64"]).decode("utf-8", "replace")
        return rows[0] | {"payload": payload}

    def with_payloads(self, projects: list[str], dead_letter_ids: Sequence[str]) -> list[dict[str, Any]]:
        """Return dead letters with their payloads in base64, the latest first, without those that are gone."""
        parameters = {"projects": projects, "ids": list(dead_letter_ids)}
        rows = self._store.rows(compose(_WHOLE, columns=_COLUMNS, letters=_LETTERS), parameters)
        return [with_times(row) for row in rows]

    def act(self, letters: Sequence[Mapping[str, Any]], action: Literal["replayed", "dropped"], author: str) -> None:
        """Write what a person did with dead letters. The last action counts."""
        rows = [
            DeadLetterAction(
                project_id=letter["project_id"],
                dead_letter_id=letter["dead_letter_id"],
                action=action,
                created_by=author,
                created_at=utc_now(),
            )
            for letter in letters
        ]
        self._save("dead_letter_action_rows", rows, self._greatest_revision("dead_letter_action_rows"))
