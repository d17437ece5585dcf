"""The cost of an LLM's judgements in a project, by day, and the rest of today's budget."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from phospho_schemas.engines import engine_spec
from phospho_schemas.messages import ProjectSettings
from phospho_schemas.times import utc_now
from phospho_store.annotations.judge_statistics import JudgeStatisticsRepository, distrust_reasons
from phospho_store.annotations.judgements import JudgementRepository
from phospho_store.registry.registry import Registry
from phospho_store.store import Store


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
