"""The cost of the judgements of an LLM, by day: its API, /api/v1/llm-usage, and its page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from phospho_dashboard.auth.visitors import Visitor
from phospho_dashboard.layout.pages import SettingsPage
from phospho_dashboard.services import ApiEndpoints, Endpoints, Services
from phospho_dashboard.web.routes import page_and_twin
from phospho_schemas.definitions.engines import engine_spec
from phospho_schemas.messages import ProjectSettings
from phospho_schemas.times import utc_now
from phospho_store.annotations.judge_statistics import JudgeStatisticsRepository, distrust_reasons
from phospho_store.annotations.judgements import JudgementRepository
from phospho_store.registry.registry import Registry
from phospho_store.store import Store
from phospho_web.endpoints import api_endpoint
from phospho_web.openapi import ANY_OBJECT, NUMBER, query_parameter
from phospho_web.problems import Problem
from phospho_web.responses import json_response


class JudgementUsage:
    """Read the usage of judgements. Blocking; raises what the store raises."""

    def __init__(self, store: Store, registry: Registry) -> None:
        self._repository = JudgementRepository(store)
        self._records = JudgeStatisticsRepository(store)
        self._registry = registry

    def read(self, project_id: str, days: int) -> dict[str, Any]:
        """
        Return `budget` and `used_today`, and `days`: a row for each day (UTC) and model, the newest first.

        `last_call` is the outcome of the latest call of all projects. `judged` has the track record of each model for
        each definition as it is, and why nothing is learnt from it, if that is so.
        """
        project = self._registry.project(project_id)
        settings = project.settings if project else ProjectSettings()
        used = self._repository.used(project_id, utc_now().date())
        return {
            "budget": {"llm_daily_tokens": settings.llm_daily_tokens, "llm_daily_usd": settings.llm_daily_usd},
            "used_today": {"tokens": used.tokens, "usd": round(used.usd, 6)},
            "days": self._repository.usage(project_id, days),
            "last_call": self._repository.last_call(),
            "judged": self._judged(project_id),
        }

    def _judged(self, project_id: str) -> list[dict[str, Any]]:
        definitions = self._registry.definitions(project_id)
        records = self._records.of(project_id, {definition.name: definition.version for definition in definitions})
        learning = {definition.name for definition in definitions if engine_spec(definition.engine).learns}
        why_not = distrust_reasons([record for record in records if record.name in learning])
        return [
            asdict(record) | {"distrust_reason": why_not.get((record.name, record.model), "")} for record in records
        ]


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


_PATH = "/settings/judgements"
SHOWN_DAYS = 30


class JudgementPages(Endpoints):
    """The page and its twin."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._usage = JudgementUsage(services.store, services.registry)
        self._page = SettingsPage(services, "judgements", "judgements/usage.html")

    def routes(self) -> list[BaseRoute]:
        """Return the routes of judgements."""
        return page_and_twin(_PATH, self.read, self.render)

    async def read(self, request: Request) -> tuple[Visitor, dict[str, Any]]:
        visitor, project_id = await self._access.page_visitor_and_project(request)
        usage = await self._threads.run(self._usage.read, project_id, SHOWN_DAYS)
        return visitor, {"project_id": project_id} | usage

    async def render(self, request: Request, visitor: Visitor, content: dict[str, Any]) -> Response:
        over_time = usage_by_day(content["days"], utc_now().date())
        return await self._page.render(request, visitor, content | {"over_time": over_time})


def usage_by_day(rows: Sequence[dict[str, Any]], today: date) -> list[dict[str, Any]]:
    """Return a row for each of the last SHOWN_DAYS days, the models of a day together, the oldest first."""
    days: dict[str, dict[str, Any]] = {}
    for days_ago in reversed(range(SHOWN_DAYS)):
        day = str(today - timedelta(days=days_ago))
        days[day] = {"day": day, "calls": 0, "tokens": 0, "usd": 0.0}
    for row in rows:
        day_row = days.get(row["day"])
        if day_row is not None:
            day_row["calls"] += row["calls"]
            day_row["tokens"] += row["tokens_in"] + row["tokens_out"]
            day_row["usd"] += row["usd"]
    return list(days.values())
