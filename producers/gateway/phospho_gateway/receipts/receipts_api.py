"""`/api/v1/receipts`: where the logs of a request are now."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from phospho_gateway.intake.models import Identifier
from phospho_gateway.read_store import GatewayServices
from phospho_schemas.rows.ledger import ItemKind
from phospho_store.ledger.receipts import MAX_LOGS, Receipts
from phospho_web.endpoints import ApiEndpoints, api_endpoint
from phospho_web.problems import Problem
from phospho_web.responses import json_response

Status = Literal[
    "unknown",
    "accepted",
    "extracted",
    "detected",
    "queryable",
    "dead_lettered",
    "dropped",
    "deleted",
    "missing",
    "mixed",
    "rejected",
]


class LogStatus(BaseModel):
    kind: ItemKind
    id: Identifier = Field(description="task_id; of feedback, task_id/feedback_id; of a step, trace_id/span_id")
    status: Status
    reason: str | None = Field(None, description="code of the dead letter")
    stage: str | None = Field(None, description="stage that wrote the dead letter")
    detail: str | None = None
    dead_letter_id: str | None = None


class RequestStatus(BaseModel):
    receipt_id: Identifier
    status: Status = Field(description="that of all logs, or mixed")
    source: str
    received_at: datetime | None
    accepted: int
    rejected: dict[str, int] = Field(description="refused logs by error code")
    statuses: dict[str, int] = Field(description="accepted logs by status")
    logs: list[LogStatus] = Field(description=f"the first {MAX_LOGS:,} accepted logs")


class ReceiptsApi(ApiEndpoints):
    """The endpoint of receipts. A key of any scope may ask for those of its project."""

    def __init__(self, services: GatewayServices) -> None:
        self._services = services
        self._receipts = Receipts(services.reads.store)

    @api_endpoint(
        "get",
        "/api/v1/receipts/{receipt_id}",
        "Where the logs of a request are now",
        RequestStatus,
        description="unknown: no such receipt has arrived yet; one of the last 15 minutes may. accepted: durable. "
        "extracted: the task can be read. detected: its analysis can be read, the task not yet. queryable: both can be "
        "read. They are kept for 30 days. The id is receipt_id of an answer, and the header Phospho-Receipt of each "
        "answer to a request that logs.",
        success="The receipt.",
    )
    async def receipt(self, request: Request) -> Response:
        """Return a receipt; one that may still be on its way to ClickHouse is `unknown`."""
        project_id = await self._services.access.own_project(request, scope=None)
        receipt_id = request.path_params["receipt_id"]
        status = await self._services.reads.run(self._receipts.status, project_id, receipt_id)
        if status is None:
            raise Problem(
                404,
                "unknown_receipt",
                "there is no such receipt in this project",
                "use receipt_id of an answer; receipts are kept for 30 days",
            )
        return json_response(status)
