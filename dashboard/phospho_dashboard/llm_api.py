"""What second opinions cost: /api/v1/llm-usage."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from phospho_dashboard.access import Access
from phospho_dashboard.answers import json_response
from phospho_dashboard.services import Services
from phospho_schemas.errors import Problem
from phospho_schemas.messages import ProjectSettings
from phospho_store.verdicts import VerdictBook

_MAX_DAYS = 366


class LlmApi:
    """The endpoint of the LLM's calls, tokens and money."""

    def __init__(self, services: Services) -> None:
        self._book = VerdictBook(services.store)
        self._registry = services.registry
        self._threads = services.threads
        self._access = Access(services)

    async def usage(self, request: Request) -> Response:
        project_id = await self._access.of_api_project(request)
        days = _days(request.query_params.get("days", "7"))
        return json_response(await self._threads.run(self._usage, project_id, days))

    def _usage(self, project_id: str, days: int) -> dict[str, Any]:
        project = self._registry.project(project_id)
        settings = project.settings if project else ProjectSettings()
        used = self._book.used(project_id, datetime.now(UTC).date())
        return {
            "budget": {"llm_daily_tokens": settings.llm_daily_tokens, "llm_daily_usd": settings.llm_daily_usd},
            "used_today": {"tokens": used.tokens, "usd": round(used.usd, 6)},
            "days": self._book.usage(project_id, days),
        }


def _days(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 3 and 1 <= int(text) <= _MAX_DAYS):
        raise Problem(422, "invalid_field", f"'days' must be a whole number from 1 to {_MAX_DAYS}")
    return int(text)
