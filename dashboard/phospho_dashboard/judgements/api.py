"""What judgements cost: /api/v1/llm-usage."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from phospho_dashboard.auth.access import Access
from phospho_dashboard.judgements.usage import LlmUsage
from phospho_dashboard.services import Services
from phospho_web.problems import Problem
from phospho_web.responses import json_response

_MAX_DAYS = 366


class LlmApi:
    """The endpoint of the LLM's calls, tokens and money."""

    def __init__(self, services: Services) -> None:
        self._usage = LlmUsage(services.store, services.registry)
        self._threads = services.threads
        self._access = Access(services)

    async def usage(self, request: Request) -> Response:
        project_id = await self._access.of_api_project(request)
        days = _days(request.query_params.get("days", "7"))
        return json_response(await self._threads.run(self._usage.of, project_id, days))


def _days(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 3 and 1 <= int(text) <= _MAX_DAYS):
        raise Problem(422, "invalid_field", f"'days' must be a whole number from 1 to {_MAX_DAYS}")
    return int(text)
