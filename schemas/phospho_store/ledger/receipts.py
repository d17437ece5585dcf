"""The status of a request and of its logs."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from functools import cache
from typing import Any

from phospho_schemas.rows.ledger import GRACE_S
from phospho_schemas.times import time_text
from phospho_store.sql import compose
from phospho_store.sql.ledger import item_outcomes, items
from phospho_store.store import Store

MAX_LOGS = 1_000
# A receipt takes its own way to ClickHouse. An id of this time may be one that waits.
_ON_ITS_WAY_MS = GRACE_S * 1000

_RECEIPT = """
SELECT toString(source) AS source, toUnixTimestamp64Milli(received_at) AS received_ms, rejected
FROM receipt_rows FINAL WHERE project_id = {project:String} AND receipt_id = {receipt:String}
"""
_OF_RECEIPT = "receipt_id = {receipt:String}"
_LOGS = """
SELECT log.kind AS kind, log.id AS id, log.outcome AS outcome, log.waiting_letter AS letter,
    analysis.revision >= log.revision AS is_analysed
FROM ($outcomes) AS log
LEFT ANY JOIN
(
    SELECT 'task' AS kind, task_id AS id, max(revision) AS revision FROM analysis_rows
    WHERE project_id = {project:String} AND task_id IN (SELECT id FROM ($items) WHERE kind = 'task')
    GROUP BY task_id
) AS analysis ON log.kind = analysis.kind AND log.id = analysis.id
ORDER BY log.revision, log.kind, log.id
"""
_STORED = frozenset({"stored", "already_known", "replayed"})

Row = dict[str, Any]


class Receipts:
    """Reads receipts. Blocking; raises what the store raises."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def status(self, project_id: str, receipt_id: str, now_ms: int | None = None) -> Row | None:
        """
        Return the status of a request and of its logs, or None where the project has no such receipt.

        A receipt that may be on its way is `unknown`: nothing says yet whether there is such a request.
        """
        now_ms = now_ms or time.time_ns() // 1_000_000
        parameters = {"project": project_id, "receipt": receipt_id, "pending_since_ms": now_ms - GRACE_S * 1000}
        receipts = self._store.rows(_RECEIPT, parameters)
        if not receipts:
            return _on_its_way(receipt_id, now_ms)
        logs = [_log(row) for row in self._store.rows(_logs(), parameters)]
        statuses = Counter(log["status"] for log in logs)
        return {
            "receipt_id": receipt_id,
            "status": "rejected" if not logs else "mixed" if len(statuses) > 1 else logs[0]["status"],
            "source": receipts[0]["source"],
            "received_at": time_text(receipts[0]["received_ms"]),
            "accepted": len(logs),
            "rejected": receipts[0]["rejected"],
            "statuses": dict(statuses),
            "logs": logs[:MAX_LOGS],
        }


@cache
def _logs() -> str:
    return compose(_LOGS, outcomes=item_outcomes(_OF_RECEIPT), items=items(_OF_RECEIPT))


def _log(row: Row) -> Row:
    log = {"kind": row["kind"], "id": row["id"], "status": _status(row)}
    if log["status"] == "dead_lettered":
        _, _, _, dead_letter_id, stage, reason, detail = row["letter"]
        log |= {"dead_letter_id": dead_letter_id, "stage": stage, "reason": reason, "detail": detail}
    return log


def _status(row: Row) -> str:
    outcome = str(row["outcome"])
    if outcome in _STORED:
        return "queryable" if row["kind"] != "task" or row["is_analysed"] else "extracted"
    if outcome == "pending":
        return "detected" if row["is_analysed"] else "accepted"
    return outcome


def _on_its_way(receipt_id: str, now_ms: int) -> Row | None:
    try:
        received_ms = uuid.UUID(receipt_id).int >> 80
    except ValueError:
        return None
    if abs(now_ms - received_ms) > _ON_ITS_WAY_MS:
        return None
    empty: Row = {"source": "", "received_at": time_text(received_ms), "accepted": 0, "rejected": {}, "statuses": {}}
    return {"receipt_id": receipt_id, "status": "unknown", **empty, "logs": []}
