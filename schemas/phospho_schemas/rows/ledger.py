"""The facts of the ledger: receipts of requests, what people did with dead letters, and deletions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from phospho_schemas.messages import Count, Identifier, Message, ProjectId, Revision, UtcTime

ItemKind = Literal["task", "feedback", "step"]
"""The kinds of rows that a log becomes."""
RECEIPT_RETENTION_DAYS = 30
"""The time for which receipts are kept and hours are reconciled. The tables of the ledger have it as TTL."""

GRACE_S = 900
"""The time in which an accepted log must be stored. After it, it is missing."""


class ReceiptRow(Message):
    """
    The outcome of one request in one project. Key: project, receipt.

    It is written when the accepted logs are durable, so an item in a receipt has to be stored, dead-lettered or
    deleted. `rejected` counts refused logs by error code.
    """

    project_id: ProjectId
    receipt_id: Identifier
    revision: Revision
    source: str = ""
    received_at: UtcTime
    rejected: dict[str, Count] = Field(default_factory=dict)
    item_kinds: list[ItemKind] = Field(default_factory=list)
    item_ids: list[str] = Field(default_factory=list)
    item_revisions: list[Revision] = Field(default_factory=list)


class DeadLetterAction(Message):
    """The last action of a person on a dead letter. Key: project, dead letter."""

    project_id: str
    dead_letter_id: Identifier
    revision: Revision = 0
    action: Literal["replayed", "dropped"]
    created_by: str = ""
    created_at: UtcTime


def item_of_row(row: Mapping[str, Any]) -> tuple[ItemKind, str]:
    """Return the kind and identity of a row of a task, feedback or step."""
    if row.get("span_id"):
        return "step", item_id(str(row.get("trace_id")), str(row["span_id"]))
    if row.get("feedback_id"):
        return "feedback", item_id(str(row.get("task_id")), str(row["feedback_id"]))
    return "task", str(row.get("task_id"))


def item_id(*identity: str) -> str:
    """Return the identity of a row within its project and kind, as receipts, dead letters and deletions name it."""
    return "/".join(identity)


class LedgerHour(Message):
    """
    The balance of the logs that a project received in an hour. Key: project, hour.

    Each accepted log is in exactly one of the counts from `stored` to `missing`. `without_receipt` counts tasks that
    came past the gateway, on Kafka, and are in no other count.
    """

    project_id: ProjectId
    hour: UtcTime
    revision: Revision = 0
    received: int = 0
    rejected: dict[str, int] = Field(default_factory=dict)
    accepted: int = 0
    stored: int = 0
    already_known: int = 0
    replayed: int = 0
    dead_lettered: int = 0
    dropped: int = 0
    deleted: int = 0
    pending: int = 0
    missing: int = 0
    without_receipt: int = 0
    dead_letters: dict[str, int] = Field(default_factory=dict)
    missing_ids: list[str] = Field(default_factory=list)
    unbalanced_since: UtcTime | None = None
    checked_at: UtcTime

    @property
    def is_balanced(self) -> bool:
        return self.missing == 0
