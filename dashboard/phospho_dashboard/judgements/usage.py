"""What judgements of an LLM cost a project, by day, and what is left of today's budget."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from phospho_schemas.engines import engine_spec
from phospho_schemas.messages import ProjectSettings
from phospho_store.annotations.judgements import JudgementBook
from phospho_store.annotations.track_record import TrackRecords, why_not_learnt
from phospho_store.registry.registry import Registry
from phospho_store.store import Store


class LlmUsage:
    """Reads what was used. Blocking; raises what the store raises."""

    def __init__(self, store: Store, registry: Registry) -> None:
        self._book = JudgementBook(store)
        self._records = TrackRecords(store)
        self._registry = registry

    def of(self, project_id: str, days: int) -> dict[str, Any]:
        """
        Return `budget` and `used_today`, and `days`: a row for each day (UTC) and model, the newest first.

        `last_call` is how the latest call of all projects ended; `judged` what each model says of each definition as
        it is, and why nothing is learnt from it, if that is so.
        """
        project = self._registry.project(project_id)
        settings = project.settings if project else ProjectSettings()
        used = self._book.used(project_id, datetime.now(UTC).date())
        return {
            "budget": {"llm_daily_tokens": settings.llm_daily_tokens, "llm_daily_usd": settings.llm_daily_usd},
            "used_today": {"tokens": used.tokens, "usd": round(used.usd, 6)},
            "days": self._book.usage(project_id, days),
            "last_call": self._book.last_call(),
            "judged": self._judged(project_id),
        }

    def _judged(self, project_id: str) -> list[dict[str, Any]]:
        definitions = self._registry.definitions(project_id)
        records = self._records.of(project_id, {one.name: one.version for one in definitions})
        learning = {one.name for one in definitions if engine_spec(one.engine).learns}
        why_not = why_not_learnt([one for one in records if one.name in learning])
        return [asdict(one) | {"why_not_learnt": why_not.get((one.name, one.model), "")} for one in records]
