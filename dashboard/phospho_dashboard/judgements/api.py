"""The API of the cost of judgements, /api/v1/llm-usage."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from phospho_dashboard.endpoints import ApiEndpoints, api_endpoint
from phospho_dashboard.judgements.usage import JudgementUsage
from phospho_dashboard.services import Services
from phospho_web.openapi import ANY_OBJECT, NUMBER, query_parameter
from phospho_web.problems import Problem
from phospho_web.responses import json_response

_MAX_DAYS = 366

_DAYS = query_parameter("days", NUMBER, "how many days, today included; 7 unless given")


class JudgementsApi(ApiEndpoints):
    """The endpoint of an LLM's calls, tokens and money."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._usage = JudgementUsage(services.store, services.registry)

    @api_endpoint("get", "/llm-usage", "Cost of judgements by day", ANY_OBJECT, parameters=(_DAYS,))
    async def usage(self, request: Request) -> Response:
        project_id = await self._access.api_project(request)
        days = _days(request.query_params.get("days", "7"))
        return json_response(await self._threads.run(self._usage.read, project_id, days))


def _days(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 3 and 1 <= int(text) <= _MAX_DAYS):
        raise Problem(422, "invalid_field", f"'days' must be a whole number from 1 to {_MAX_DAYS}")
    return int(text)
