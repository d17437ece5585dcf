"""The facts of deletions, without which the ledger would take a deleted row for a lost one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from phospho_schemas.rows.ledger import RECEIPT_RETENTION_DAYS, ItemKind
from phospho_store.sql import compose
from phospho_store.store import Store

# The kind and id of the log behind a row of these tables, as receipts have them.
_ITEMS: Mapping[str, tuple[str, str, str]] = {
    "task_rows": ("'task'", "task_id", "revision"),
    "feedback_rows": ("'feedback'", "concat(task_id, '/', feedback_id)", "revision"),
    "step_rows": ("'step'", "concat(trace_id, '/', span_id)", "revision"),
    "dead_letter_rows": ("item_kind", "item_id", "item_revision"),
}
# Older logs are in no receipt any more.
_RECORD = """
INSERT INTO deletion_rows (project_id, item_key, revision, reason)
SELECT {project:String}, cityHash64($kind, $id) AS item_key, max($revision), '$reason' FROM $table
WHERE project_id = {project:String} AND $condition
    AND bitShiftRight($revision, 16) > toUnixTimestamp64Milli(now64(3)) - $days * 86400000
GROUP BY item_key
"""

_RECORD_ITEMS = """
INSERT INTO deletion_rows (project_id, item_key, revision, reason)
SELECT {project:String}, cityHash64({kind:String}, arrayJoin({ids:Array(String)})), {revision:UInt64}, {reason:String}
"""


def record_deleted_items(
    store: Store, project_id: str, items: Iterable[tuple[ItemKind, str]], revision: int, *, reason: str
) -> None:
    """Write that logs up to a revision are deleted, by kind and id, stored or not. Safe to repeat."""
    by_kind: dict[ItemKind, list[str]] = {}
    for kind, identity in items:
        by_kind.setdefault(kind, []).append(identity)
    for kind, ids in by_kind.items():
        parameters = {"project": project_id, "kind": kind, "ids": ids, "revision": revision, "reason": reason}
        store.command(_RECORD_ITEMS, parameters)


def record_deletions(
    store: Store, table: str, condition: str, parameters: Mapping[str, Any], *, reason: str = "retention"
) -> None:
    """
    Write that the rows of `table` that meet `condition` are deleted. Call it before the delete.

    `parameters` holds `project`. A table whose rows are no logs is left alone. Safe to repeat.
    """
    if table not in _ITEMS:
        return
    kind, identity, revision = _ITEMS[table]
    parts = {"kind": kind, "id": identity, "revision": revision, "table": table, "condition": condition}
    store.command(compose(_RECORD, **parts, reason=reason, days=str(RECEIPT_RETENTION_DAYS + 1)), parameters)
