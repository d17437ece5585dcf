"""The API of the ledger, /api/v1/ledger."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from phospho_dashboard.ledger.ledger import LedgerReader, parsed_since
from phospho_dashboard.services import ROWS, ApiEndpoints, Services
from phospho_web.endpoints import api_endpoint
from phospho_web.openapi import ANY_OBJECT, TEXT, nullable, object_schema, query_parameter
from phospho_web.responses import json_response


class LedgerApi(ApiEndpoints):
    """The endpoint of the ledger."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._ledger = LedgerReader(services.store)

    @api_endpoint(
        "get",
        "/ledger",
        "What became of accepted logs, by hour",
        object_schema(
            ["project_id", "is_balanced", "totals", "hours"],
            project_id=TEXT,
            is_balanced={"type": "boolean"},
            unbalanced_since=nullable(TEXT),
            totals=ANY_OBJECT,
            hours=ROWS,
        ),
        description="An hour balances when each accepted log is stored, already known, replayed, dead-lettered, "
        "dropped, deleted, or pending for less than the grace time. Otherwise it is missing.",
        parameters=(query_parameter("since", TEXT, "time of the first hour; a day ago unless given"),),
    )
    async def ledger(self, request: Request) -> Response:
        project_id = await self._access.api_project(request)
        since = parsed_since(request.query_params.get("since"))
        return json_response(await self._threads.run(self._ledger.read, project_id, since))
